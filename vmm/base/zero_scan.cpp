// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/zero_scan.h"

#include <array>
#include <cstdint>
#include <cstring>

namespace tintype {
namespace {

using Lanes [[gnu::vector_size(16)]] = std::uint64_t;  // compilers do not find them by themselves
constexpr std::size_t kStride = 64;                    ///< a cache line

bool line_is_zero(const std::byte* line) noexcept {
  std::array<Lanes, kStride / sizeof(Lanes)> lanes;
  std::memcpy(&lanes, line, kStride);
  const Lanes any = (lanes[0] | lanes[1]) | (lanes[2] | lanes[3]);
  return (any[0] | any[1]) == 0;
}

}  // namespace

bool is_zero(std::span<const std::byte> bytes) noexcept {
  while (bytes.size() >= kStride) {
    if (!line_is_zero(bytes.data())) return false;
    bytes = bytes.subspan(kStride);
  }
  for (const std::byte byte : bytes) {
    if (byte != std::byte{0}) return false;
  }
  return true;
}

}  // namespace tintype
