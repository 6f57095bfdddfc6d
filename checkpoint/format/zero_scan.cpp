// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/format/zero_scan.h"

#include <cstdint>
#include <cstring>

namespace tintype {
namespace {

constexpr std::size_t kStride = 64;

// A cache line; the loop has a fixed length, so that the compiler turns it into vector instructions.
bool line_is_zero(const std::byte* line) noexcept {
  std::uint64_t words[kStride / sizeof(std::uint64_t)];
  std::memcpy(words, line, kStride);
  std::uint64_t any = 0;
  for (const std::uint64_t word : words) any |= word;
  return any == 0;
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
