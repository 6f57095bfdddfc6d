// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

struct XXH3_state_s;

namespace tintype {

/// xxh3-64, the one checksum of all files. Finds damage by accident, not by an attacker. A seed ties what is checked to
/// something else; files whose format names none use 0.
std::uint64_t checksum_of(std::span<const std::byte> bytes, std::uint64_t seed = 0) noexcept;

/// The same over pieces, with seed 0.
class Checksum {
 public:
  Checksum();
  ~Checksum();
  Checksum(const Checksum&) = delete;
  Checksum& operator=(const Checksum&) = delete;
  void add(std::span<const std::byte> bytes) noexcept;
  std::uint64_t value() const noexcept;

 private:
  XXH3_state_s* state_;
};

}  // namespace tintype
