// SPDX-License-Identifier: Apache-2.0
#include "devices/block/redo_log_format.h"

#include <xxhash.h>

namespace tintype::log_format {

std::uint64_t log_seed(const Superblock& superblock) noexcept {
  return ::XXH3_64bits(superblock.log_id.data(), superblock.log_id.size());
}

std::uint64_t checksum_of(const Superblock& superblock) noexcept {
  return ::XXH3_64bits(&superblock, offsetof(Superblock, checksum));
}

std::uint64_t checksum_of(const State& state, std::uint64_t seed) noexcept {
  return ::XXH3_64bits_withSeed(&state, offsetof(State, checksum), seed);
}

std::uint64_t checksum_of(const Record& record, std::uint64_t seed, std::uint64_t slot) noexcept {
  return ::XXH3_64bits_withSeed(&record, offsetof(Record, checksum), seed ^ slot);
}

}  // namespace tintype::log_format
