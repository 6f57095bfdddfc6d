// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "devices/bus.h"

namespace tintype {

/// The port by which a guest's kernel says that it panics, as QEMU's pvpanic (docs/specs/pvpanic.rst of QEMU). Linux
/// finds it by the ACPI id QEMU0001, reads which events are known here, and writes one of them.
///
/// It remembers nothing, so it has no record in a checkpoint, and guests of checkpoints from before it was there can
/// be restored.
class Pvpanic final : public BusDevice {
 public:
  enum class Event : std::uint8_t {
    kPanicked = 1,     ///< the kernel is at its end
    kCrashLoaded = 2,  ///< a crash kernel takes over: to be noted only
  };
  /// Called on the vCPU thread that wrote, and returns at once.
  explicit Pvpanic(std::function<void(Event)> on_event) : on_event_(std::move(on_event)) {}

  void bus_read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
  void bus_write(std::uint64_t offset, std::span<const std::byte> data) noexcept override;

 private:
  std::function<void(Event)> on_event_;
};

}  // namespace tintype
