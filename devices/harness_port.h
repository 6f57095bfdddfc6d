// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <functional>

#include "devices/device.h"

namespace tintype {

/// The port by which a guest asks its machine to be marked and to be reset (tools/harness/tintype_harness.h): a 32-bit
/// write of the physical address of its request. Reads give zeros. It remembers nothing, and so has no state.
class HarnessPort final : public BusDevice {
 public:
  /// `on_request` is called on the vCPU thread that wrote, and returns at once.
  explicit HarnessPort(std::function<void(std::uint32_t address)> on_request) : on_request_(std::move(on_request)) {}

  void bus_read(std::uint64_t, std::span<std::byte> data) noexcept override {
    std::memset(data.data(), 0, data.size());
  }
  void bus_write(std::uint64_t offset, std::span<const std::byte> data) noexcept override {
    std::uint32_t address = 0;
    if (offset != 0 || data.size() != sizeof address || !on_request_) return;
    std::memcpy(&address, data.data(), sizeof address);
    on_request_(address);
  }

 private:
  const std::function<void(std::uint32_t)> on_request_;
};

}  // namespace tintype
