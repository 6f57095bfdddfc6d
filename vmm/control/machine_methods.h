// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vmm/control/server.h"
#include "vmm/machine/machine.h"

namespace tintype {

/// The methods of the control socket, each bound to the machine's of the same name. Parameters are checked here:
/// unknown ones, and ones of the wrong kind, are refused before the machine is touched. The machine must outlive this.
class MachineMethods final : public ControlService {
 public:
  explicit MachineMethods(Machine& machine) : machine_(machine) {}

  nlohmann::json call(const std::string& method, const nlohmann::json& params, const ProgressSink& progress) override;

 private:
  nlohmann::json status(const nlohmann::json& params);
  nlohmann::json pause(const nlohmann::json& params);
  nlohmann::json resume(const nlohmann::json& params);
  nlohmann::json stop(const nlohmann::json& params);
  nlohmann::json checkpoint(const nlohmann::json& params, const ProgressSink& progress);

  Machine& machine_;
};

}  // namespace tintype
