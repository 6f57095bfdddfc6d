// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/checksum.h"

#include <new>

// Chooses AVX2 or AVX-512 at run time where the CPU has it: twice as fast as what the plain header compiles
// to.
#include <xxh_x86dispatch.h>

namespace tintype {

std::uint64_t checksum_of(std::span<const std::byte> bytes, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed_dispatch(bytes.data(), bytes.size(), seed);
}

Checksum::Checksum() : state_(XXH3_createState()) {
  if (state_ == nullptr) throw std::bad_alloc();
  XXH3_64bits_reset(state_);
}

Checksum::~Checksum() { XXH3_freeState(state_); }

void Checksum::add(std::span<const std::byte> bytes) noexcept {
  XXH3_64bits_update_dispatch(state_, bytes.data(), bytes.size());
}

std::uint64_t Checksum::value() const noexcept { return XXH3_64bits_digest(state_); }

}  // namespace tintype
