// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>

#include "guest-images/runtime/text.h"

// COM1: lines out, single bytes in.
namespace tintype::guest {

// Something that can be printed: text, a number, or a number in hexadecimal.
class Printable {
 public:
  constexpr Printable(Text text) : kind_(Kind::kText), text_(text) {}
  constexpr Printable(const char* text) : kind_(Kind::kText), text_(text) {}
  constexpr Printable(std::unsigned_integral auto value) : kind_(Kind::kDecimal), value_(value) {}
  constexpr Printable(std::signed_integral auto value)
      : kind_(Kind::kDecimal),
        negative_(value < 0),
        value_(negative_ ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value)) {}

  friend constexpr Printable hex(std::uint64_t value, unsigned digits);

  // Appends at `to` and returns where the next one goes; never writes at or past `end`.
  char* write(char* to, char* end) const;

 private:
  enum class Kind : std::uint8_t { kText, kDecimal, kHexadecimal };

  Kind kind_;
  bool negative_ = false;
  unsigned digits_ = 1;
  std::uint64_t value_ = 0;
  Text text_;
};

// A number as hexadecimal digits, without 0x.
constexpr Printable hex(std::uint64_t value, unsigned digits = 1) {
  Printable printable(value);
  printable.kind_ = Printable::Kind::kHexadecimal;
  printable.digits_ = digits;
  return printable;
}

void print_items(const Printable* items, std::uint32_t count);

// Prints its arguments one after the other. More than 256 bytes are cut off.
template <typename... Items>
void print(const Items&... items) {
  const Printable list[] = {items...};
  print_items(list, sizeof...(items));
}

// A byte that came in, or -1.
int read_byte();

// Sets the line up; the runtime calls it.
void start_console();

// From here on a byte that comes in raises COM1's interrupt.
void interrupt_on_input();

}  // namespace tintype::guest
