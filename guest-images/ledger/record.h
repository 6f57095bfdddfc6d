// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "guest-images/runtime/disk.h"
#include "guest-images/runtime/text.h"

namespace tintype::guest {

// The three places that hold every record.
enum class Medium : std::uint8_t { kDisk0, kDisk1, kRam };
constexpr std::uint32_t kDisks = 2;

Text name_of(Medium medium);

// What is written into one sector. Each sector of a record says by itself what it is, so that a
// half-written record, an old one, or one in the wrong place cannot pass.
struct SectorIdentity {
  std::uint64_t nonce;   // of this run: records of an earlier one cannot pass
  std::uint64_t record;  // its number, from 1 on; 0: this run has written none here
  std::uint64_t place;   // see place()

  static constexpr std::uint64_t place_of(Medium medium, std::uint32_t index, std::uint64_t sector) {
    return std::uint64_t{static_cast<std::uint8_t>(medium)} << 56 | std::uint64_t{index} << 48 | sector;
  }
};

// Fills a sector: magic, nonce, record, place, and then 60 words that follow from these, so that
// the payload is its own checksum.
void write_sector(void* sector, const SectorIdentity& identity);

// Spoils a sector in memory, so that a read that delivers nothing is noticed.
void poison_sector(void* sector);

enum class Finding : std::uint8_t {
  kRight,
  kLost,       // an older record: a write that was acknowledged is gone
  kAhead,      // a newer one: the medium knows what memory does not
  kMisplaced,  // a record of this run that belongs elsewhere
  kForeign,    // no record of this run
  kDamaged,    // the payload does not follow from the identity
  kUnread,     // still poisoned
};

Text name_of(Finding finding);

struct Inspection {
  Finding finding = Finding::kRight;
  std::uint64_t found = 0;  // the record that the sector holds, where it holds one
};

// Compares a sector with what it should be.
Inspection inspect_sector(const void* sector, const SectorIdentity& expected);

}  // namespace tintype::guest
