// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace tintype {

/// A fuzzer's input, taken apart from the front. At its end everything is zero.
class ByteSource {
 public:
  explicit ByteSource(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  bool empty() const { return bytes_.empty(); }

  template <typename T>
  T take() {
    T value{};
    const std::size_t count = bytes_.size() < sizeof value ? bytes_.size() : sizeof value;
    if (count != 0) std::memcpy(&value, bytes_.data(), count);
    bytes_ = bytes_.subspan(count);
    return value;
  }
  /// A number below `limit`.
  std::uint32_t below(std::uint32_t limit) { return take<std::uint8_t>() % limit; }
  /// One of a list, or now and then any number at all.
  template <typename T, std::size_t N>
  T one_of(const T (&list)[N]) {
    const std::uint8_t choice = take<std::uint8_t>();
    return choice >= 240 ? take<T>() : list[choice % N];
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

}  // namespace tintype
