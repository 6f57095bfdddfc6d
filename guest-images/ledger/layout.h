// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tintype::guest {

// Where records lie: the same way on each medium.
//
// The space is divided into slots of 512 bytes to 32 KiB, without gaps, so that every sector
// belongs to exactly one slot. Records cycle through the slots, not in order but scattered; a slot
// is used again after `slots()` records. All of it is arithmetic, so nothing has to be remembered,
// and what memory does remember can be checked against it.
class Layout {
 public:
  static constexpr std::uint32_t kMaxSectors = 64;

  // As many whole groups of slots as fit into `sectors`.
  explicit Layout(std::uint64_t sectors);

  std::uint64_t slots() const { return slots_; }
  std::uint64_t sectors() const { return slots_ / kGroup * kGroupSectors; }

  std::uint64_t first_sector(std::uint64_t slot) const;
  std::uint32_t size_in_sectors(std::uint64_t slot) const { return kSizes[slot % kGroup]; }

  // Which slot a record goes to.
  std::uint64_t slot_of(std::uint64_t record) const { return record % slots_ * stride_ % slots_; }

  // The last record that went to a slot when `records` have been written; 0 if none has.
  std::uint64_t last_record_in(std::uint64_t slot, std::uint64_t records) const;

 private:
  static constexpr std::uint32_t kSizes[] = {1, 64, 2, 16, 8, 32, 4};
  static constexpr std::uint32_t kGroup = 7;
  static constexpr std::uint32_t kGroupSectors = 127;

  std::uint64_t slots_;
  std::uint64_t stride_ = 1;   // has no divisor in common with slots_
  std::uint64_t inverse_ = 1;  // stride_ * inverse_ is 1 modulo slots_
};

}  // namespace tintype::guest
