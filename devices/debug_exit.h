// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "devices/device.h"

namespace tintype {

/// Nothing: the port remembers nothing. The record is there so that a checkpoint lists the device.
struct DebugExitStateV1 {
  static constexpr std::string_view kType = "debug-exit";
  static constexpr std::uint32_t kVersion = 1;
  bool operator==(const DebugExitStateV1&) const = default;
  static void fields(auto&, auto&&) {}
};

/// The port by which a test kernel ends its machine, as QEMU's isa-debug-exit: a write of any width anywhere
/// in the window ends the program with the status `value << 1 | 1`, which is never 0. Reads give zeros.
class DebugExit final : public PassiveDevice, public BusDevice {
 public:
  /// `on_exit` is called on the vCPU thread that wrote, and returns at once: it only posts the code to the
  /// machine.
  explicit DebugExit(std::function<void(int code)> on_exit) : on_exit_(std::move(on_exit)) {}

  void bus_read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
  void bus_write(std::uint64_t offset, std::span<const std::byte> data) noexcept override;

  std::string state_name() const override { return "debug-exit"; }
  StateRecord save_state() const override { return to_record(DebugExitStateV1{}); }
  void check_state(const StateRecord& record) const override { from_record<DebugExitStateV1>(record); }
  void restore_state(const StateRecord& record) override { check_state(record); }

 private:
  std::function<void(int)> on_exit_;
};

}  // namespace tintype
