// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "devices/device.h"

namespace tintype {

/// What a guest's IN or load of that width gives, straight from the device.
template <typename T = std::uint8_t>
T bus_in(BusDevice& device, std::uint64_t offset) {
  std::array<std::byte, sizeof(T)> data{};
  device.bus_read(offset, data);
  T value;
  std::memcpy(&value, data.data(), sizeof value);
  return value;
}

/// A guest's OUT or store of that width.
template <typename T = std::uint8_t>
void bus_out(BusDevice& device, std::uint64_t offset, std::type_identity_t<T> value) {
  std::array<std::byte, sizeof(T)> data;
  std::memcpy(data.data(), &value, sizeof value);
  device.bus_write(offset, data);
}

}  // namespace tintype
