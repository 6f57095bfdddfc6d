// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "devices/bus.h"
#include "devices/device.h"

namespace tintype {

/// What devices are plugged into: the port bus, the MMIO bus, and the list of all devices. plug() is the only way to
/// either bus, so what a guest can reach is also frozen, saved and restored.
///
/// Filled before the machine runs, only read afterwards. Devices must outlive its use.
class Backplane {
 public:
  enum class Space : std::uint8_t { kPorts, kMmio };
  /// Addresses at which `answers` answers, for a device.
  struct Window {
    Space space = Space::kPorts;
    std::uint64_t start = 0, length = 0;
    BusDevice& answers;
    std::string name;  ///< for traces and exit reports
  };

  /// Throws tintype::Error where a window overlaps one that is taken.
  void plug(Device& device, std::initializer_list<Window> windows);
  /// What answers there remembers nothing, and is no device.
  void plug_stateless(const Window& window);

  const Bus& ports() const noexcept { return ports_; }
  const Bus& mmio() const noexcept { return mmio_; }
  /// In the order in which they were plugged in.
  std::span<Device* const> devices() const noexcept { return devices_; }

  /// Brings every device to a request boundary and holds it there, until thaw(). With the vCPUs parked.
  void freeze() noexcept;
  void thaw() noexcept;

 private:
  Bus ports_, mmio_;
  std::vector<Device*> devices_;
};

}  // namespace tintype
