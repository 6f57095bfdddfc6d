// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

struct XXH3_state_s;

namespace tintype {

/// xxh3-64 with seed 0, the one checksum of all files. Finds damage by accident, not by an attacker.
std::uint64_t checksum_of(std::span<const std::byte> bytes) noexcept;

/// The same over pieces.
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
