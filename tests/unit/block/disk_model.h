// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "devices/block/sectors.h"

namespace tintype {

/// A disk in memory that says which contents a real one may show. Every write has a number ("tag"), and every
/// 8 bytes of a sector tell tag and sector, so that lost, doubled, torn, misplaced and resurrected writes are
/// all seen.
///
/// The rule is that of a register: a read may see a write that had begun before the read ended, unless
/// another write, which began after that one was acknowledged, was itself acknowledged before the read began.
class DiskModel {
 public:
  using Tag = std::uint32_t;
  using Time = std::uint64_t;

  static constexpr Time kNever = ~Time{0};

  struct Value {
    Tag tag = 0;
    Time begun = 0;
    Time ended = 0;  ///< acknowledged (or failed); kNever while in flight
    Time superseded = kNever;
    bool zeros = false;

    std::uint64_t word(std::uint64_t sector) const { return zeros ? 0 : DiskModel::word(tag, sector); }
  };

  explicit DiskModel(std::uint64_t sectors) : sectors_(sectors, {Value{}}) {}

  static std::uint64_t word(Tag tag, std::uint64_t sector) { return std::uint64_t{tag} << 32 | sector; }
  static void fill(std::span<std::byte> data, Tag tag, std::uint64_t first_sector);

  std::uint64_t sector_count() const { return sectors_.size(); }
  Time now() { return ++clock_; }

  Tag begin_write(const SectorRange& range, bool zeros = false);
  void end_write(const SectorRange& range, Tag tag, bool succeeded);

  /// Checks what a read that began at `begun` and has ended now has seen; returns what is wrong with it, or
  /// nothing. Remembers what it rules out for later reads.
  std::string check_read(const SectorRange& range, std::span<const std::byte> data, Time begun);
  /// Checks contents of the moment when this copy of the model was made: only a write that had begun then may
  /// be seen.
  std::string check_frozen(const SectorRange& range, std::span<const std::byte> data) const;

 private:
  std::vector<std::vector<Value>> sectors_;  ///< for each, the values that may still be seen
  Tag last_tag_ = 0;
  Time clock_ = 0;
};

}  // namespace tintype
