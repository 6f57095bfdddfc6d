// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

namespace tintype {

// All numbers in files are little-endian, which is what the machines we run on have.
static_assert(std::endian::native == std::endian::little);

/// The caller has checked that the bytes are there.
template <std::unsigned_integral T>
T load_number(std::span<const std::byte> from, std::size_t offset) noexcept {
  T value;
  std::memcpy(&value, from.data() + offset, sizeof value);
  return value;
}

template <std::unsigned_integral T>
void store_number(std::span<std::byte> into, std::size_t offset, T value) noexcept {
  std::memcpy(into.data() + offset, &value, sizeof value);
}

template <std::unsigned_integral T>
void append_number(std::vector<std::byte>& into, T value) {
  into.resize(into.size() + sizeof value);
  store_number(std::span(into), into.size() - sizeof value, value);
}

}  // namespace tintype
