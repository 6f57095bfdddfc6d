// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "guest-images/ledger/layout.h"
#include "guest-images/ledger/record.h"

namespace tintype::guest {

// What memory knows: for each slot the record that was issued to it last, and the last one that
// each disk has acknowledged. A disk may never hold a record that is newer than the one issued, nor
// lack one that it acknowledged.
class Book {
 public:
  // One entry for each slot, in memory from `entries` on, which must have room for bytes().
  Book(const Layout& layout, std::uint64_t nonce, void* entries);
  static std::uint64_t bytes(const Layout& layout);

  // Notes are made before a write is submitted, and after it was acknowledged.
  void issue(std::uint64_t slot, std::uint64_t record);
  void complete(std::uint64_t slot, std::uint32_t disk);

  // True if the entry says that `record` went to the slot and both disks acknowledged it, and
  // the entry itself is sound. Otherwise `found` is what it says was issued.
  bool settled(std::uint64_t slot, std::uint64_t record, std::uint64_t& found) const;

 private:
  struct Entry {
    std::uint64_t issued;
    std::uint64_t completed[kDisks];
    std::uint64_t checksum;
  };
  std::uint64_t checksum(std::uint64_t slot, const Entry& entry) const;

  std::uint64_t nonce_;
  Entry* entries_;
};

}  // namespace tintype::guest
