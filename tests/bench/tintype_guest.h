// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "tests/bench/contenders.h"
#include "vmm/control/client.h"

namespace tintype::test {

/// A guest under Tintype. Captures are asked for over the control socket, so that no time goes for starting a program.
class TintypeGuest final : public RunningGuest {
 public:
  struct Capture {
    std::string strategy = "cow";
    bool full = true;
    std::string compression = "none";
    std::vector<std::filesystem::path> disks{};  ///< images that are there already
  };

  TintypeGuest(const Workload& workload, Capture how);
  ~TintypeGuest() override;

  MachineProcess& process() noexcept override { return *process_; }
  CaptureReport capture(const std::filesystem::path& destination) override;

  void set_full(bool full) noexcept { how_.full = full; }

 private:
  TestDirectory directory_;
  Capture how_;
  std::unique_ptr<MachineProcess> process_;
  std::unique_ptr<ControlClient> client_;
};

}  // namespace tintype::test
