// SPDX-License-Identifier: Apache-2.0
#include "devices/block/redo_log_format.h"

#include "vmm/base/checksum.h"

namespace tintype::log_format {
namespace {

/// What stands before `end` in the struct, as it lies in the file.
template <typename T>
std::span<const std::byte> bytes_before(std::size_t end, const T& value) noexcept {
  return std::as_bytes(std::span(&value, 1)).first(end);
}

}  // namespace

std::uint64_t log_seed(const Superblock& superblock) noexcept {
  return tintype::checksum_of(std::as_bytes(std::span(superblock.log_id)));
}

std::uint64_t checksum_of(const Superblock& superblock) noexcept {
  return tintype::checksum_of(bytes_before(offsetof(Superblock, checksum), superblock));
}

std::uint64_t checksum_of(const State& state, std::uint64_t seed) noexcept {
  return tintype::checksum_of(bytes_before(offsetof(State, checksum), state), seed);
}

std::uint64_t checksum_of(const Record& record, std::uint64_t seed, std::uint64_t slot) noexcept {
  return tintype::checksum_of(bytes_before(offsetof(Record, checksum), record), seed ^ slot);
}

}  // namespace tintype::log_format
