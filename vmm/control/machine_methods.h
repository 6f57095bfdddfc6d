// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vmm/control/methods.h"
#include "vmm/control/server.h"

namespace tintype {

/// Serves the methods of the table for one machine, which must outlive this.
class MachineMethods final : public ControlService {
 public:
  explicit MachineMethods(Machine& machine) : machine_(machine) {}

  nlohmann::json call(const std::string& name, const nlohmann::json& params, const ProgressSink& progress) override;
  std::unique_ptr<Feed> follow(const std::string& name, const nlohmann::json& params) override;
  void hang_bell(EventFd* bell) override;

 private:
  Machine& machine_;
};

}  // namespace tintype
