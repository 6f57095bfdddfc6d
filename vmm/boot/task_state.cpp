// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/task_state.h"

#include <cstdint>

#include "vmm/boot/layout.h"

namespace tintype {

namespace {

constexpr std::size_t kBitmapOffsetField = 0x66;  // 16 bits, in 32-bit and in 64-bit task states
constexpr std::uint8_t kBitmapOffset = 0x68;      // behind the fixed part
constexpr std::size_t kBitmapSize = 0x10000 / 8;
static_assert(kBitmapOffset + kBitmapSize + 1 == kTaskStateArea.size);

}  // namespace

std::vector<std::byte> permissive_task_state() {
  std::vector<std::byte> segment(kTaskStateArea.size);
  segment[kBitmapOffsetField] = std::byte{kBitmapOffset};
  segment.back() = std::byte{0xff};  // the processor reads two bytes at a time: the bitmap ends with ones
  return segment;
}

}  // namespace tintype
