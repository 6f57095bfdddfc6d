// SPDX-License-Identifier: Apache-2.0
#include "guest-images/runtime/random.h"

#include <initializer_list>

#include "guest-images/runtime/cpu.h"

namespace tintype::guest {
namespace {

constexpr std::uint32_t kHasRdrand = 1u << 30;  // CPUID leaf 1, ECX
constexpr std::uint16_t kCmosIndex = 0x70;
constexpr std::uint16_t kCmosData = 0x71;

std::uint64_t hardware_random() {
  if (!(cpuid(1).ecx & kHasRdrand)) return 0;
  std::uint64_t value = 0;
  asm volatile("rdrand %0" : "=r"(value) : : "cc");
  return value;
}

// Seconds, minutes, hours, day, month, year.
std::uint64_t wall_clock() {
  std::uint64_t value = 0;
  for (const std::uint8_t index : {0, 2, 4, 7, 8, 9}) {
    out8(kCmosIndex, index);
    value = value << 8 | in8(kCmosData);
  }
  return value;
}

}  // namespace

std::uint64_t random_number() { return mix(mix(mix(hardware_random()) ^ wall_clock()) ^ read_tsc()); }

}  // namespace tintype::guest
