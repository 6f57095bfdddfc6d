// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "tests/bench/contenders.h"

namespace tintype::test {

/// What QEMU's microvm is started with, to run a kernel of guest-images/ on the same KVM.
Arguments qemu_arguments(const std::string& image, const std::string& options, const std::string& memory);

/// The same guest file under QEMU, captured to a file: live (`background-snapshot`, which write-protects memory by
/// userfaultfd), or stopped, saved by a migration and continued.
class QemuGuest final : public RunningGuest {
 public:
  QemuGuest(const Workload& workload, bool live);
  ~QemuGuest() override;

  MachineProcess& process() noexcept override { return *process_; }
  CaptureReport capture(const std::filesystem::path& destination) override;

 private:
  nlohmann::json command(const std::string& name, const nlohmann::json& arguments = nlohmann::json::object());
  nlohmann::json read_reply();
  void set_up();
  /// What query-migrate says in the end.
  nlohmann::json migrate_to(const std::filesystem::path& file);

  TestDirectory directory_;
  bool live_;
  std::unique_ptr<MachineProcess> process_;
  UniqueFd socket_;
  std::string unread_;
};

}  // namespace tintype::test
