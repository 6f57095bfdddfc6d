// SPDX-License-Identifier: Apache-2.0
#include "guest-images/runtime/console.h"

#include "guest-images/runtime/cpu.h"

namespace tintype::guest {
namespace {

// The 16550's registers.
constexpr std::uint16_t kCom1 = 0x3f8;
constexpr std::uint16_t kData = kCom1 + 0;
constexpr std::uint16_t kInterruptEnable = kCom1 + 1;
constexpr std::uint16_t kFifoControl = kCom1 + 2;
constexpr std::uint16_t kLineControl = kCom1 + 3;
constexpr std::uint16_t kModemControl = kCom1 + 4;
constexpr std::uint16_t kLineStatus = kCom1 + 5;
constexpr std::uint8_t kDataReady = 0x01;
constexpr std::uint8_t kTransmitterEmpty = 0x20;
constexpr std::uint64_t kFifoSize = 16;

// Looks at the line status once for a whole FIFO's worth: each access to a port is an exit.
void write(const char* data, std::uint64_t size) {
  for (std::uint64_t i = 0; i != size; ++i) {
    if (i % kFifoSize == 0)
      while (!(in8(kLineStatus) & kTransmitterEmpty)) cpu_relax();
    out8(kData, static_cast<std::uint8_t>(data[i]));
  }
}

char* write_number(char* to, char* end, std::uint64_t value, unsigned base, unsigned digits) {
  char reversed[20];
  unsigned count = 0;
  do {
    reversed[count++] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  for (; digits > count && to != end; --digits) *to++ = '0';
  while (count != 0 && to != end) *to++ = reversed[--count];
  return to;
}

}  // namespace

char* Printable::write(char* to, char* end) const {
  if (kind_ == Kind::kHexadecimal) return write_number(to, end, value_, 16, digits_);
  if (negative_ && to != end) *to++ = '-';
  if (kind_ == Kind::kDecimal) return write_number(to, end, value_, 10, digits_);
  for (std::size_t i = 0; i != text_.size && to != end; ++i) *to++ = text_.data[i];
  return to;
}

void print_items(const Printable* items, std::uint32_t count) {
  char line[256];
  char* to = line;
  for (std::uint32_t i = 0; i != count; ++i) to = items[i].write(to, line + sizeof(line));
  write(line, static_cast<std::uint64_t>(to - line));
}

int read_byte() { return in8(kLineStatus) & kDataReady ? in8(kData) : -1; }

void start_console() {
  out8(kInterruptEnable, 0x00);
  out8(kLineControl, 0x80);  // the divisor: 1, which is 115200 baud
  out8(kData, 0x01);
  out8(kInterruptEnable, 0x00);
  out8(kLineControl, 0x03);  // eight bits, no parity, one stop bit
  out8(kFifoControl, 0x01);
  out8(kModemControl, 0x0b);  // the 0x08 lets the interrupt through
}

void interrupt_on_input() { out8(kInterruptEnable, 0x01); }

}  // namespace tintype::guest
