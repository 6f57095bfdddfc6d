// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace tintype::guest {

// A piece of text that somebody else owns.
struct Text {
  const char* data = nullptr;
  std::size_t size = 0;

  constexpr Text() = default;
  constexpr Text(const char* begin, std::size_t length) : data(begin), size(length) {}
  constexpr Text(const char* zero_terminated) : data(zero_terminated) {
    while (data[size] != 0) ++size;
  }

  constexpr bool present() const { return data != nullptr; }
};

constexpr bool operator==(Text a, Text b) {
  if (a.size != b.size) return false;
  for (std::size_t i = 0; i != a.size; ++i)
    if (a.data[i] != b.data[i]) return false;
  return true;
}

// Reads a number off the front of `text` and takes it away there: decimal or 0x hexadecimal,
// with an optional K, M or G behind it. No digits give zero.
constexpr std::uint64_t take_number(Text& text) {
  auto take = [&text] {
    --text.size;
    return *text.data++;
  };
  std::uint64_t base = 10, value = 0;
  if (text.size > 2 && text.data[0] == '0' && text.data[1] == 'x') {
    take(), take();
    base = 16;
  }
  while (text.size != 0) {
    const char c = text.data[0];
    const char lower = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    std::uint64_t digit = base;
    if (lower >= '0' && lower <= '9') digit = static_cast<std::uint64_t>(lower - '0');
    if (lower >= 'a' && lower <= 'f') digit = static_cast<std::uint64_t>(lower - 'a') + 10;
    if (digit >= base) break;
    value = value * base + digit;
    take();
  }
  if (text.size == 0) return value;
  switch (text.data[0]) {
    case 'K':
      take();
      return value << 10;
    case 'M':
      take();
      return value << 20;
    case 'G':
      take();
      return value << 30;
    default:
      return value;
  }
}

}  // namespace tintype::guest
