// SPDX-License-Identifier: Apache-2.0
#include "guest-images/ledger/book.h"

#include "guest-images/runtime/random.h"

namespace tintype::guest {

Book::Book(const Layout& layout, std::uint64_t nonce, void* entries)
    : nonce_(nonce), entries_(static_cast<Entry*>(entries)) {
  for (std::uint64_t slot = 0; slot != layout.slots(); ++slot) {
    entries_[slot] = Entry{0, {0, 0}, 0};
    entries_[slot].checksum = checksum(slot, entries_[slot]);
  }
}

std::uint64_t Book::bytes(const Layout& layout) { return layout.slots() * sizeof(Entry); }

void Book::issue(std::uint64_t slot, std::uint64_t record) {
  entries_[slot].issued = record;
  entries_[slot].checksum = checksum(slot, entries_[slot]);
}

void Book::complete(std::uint64_t slot, std::uint32_t disk) {
  entries_[slot].completed[disk] = entries_[slot].issued;
  entries_[slot].checksum = checksum(slot, entries_[slot]);
}

bool Book::settled(std::uint64_t slot, std::uint64_t record, std::uint64_t& found) const {
  const Entry& entry = entries_[slot];
  found = entry.issued;
  return entry.checksum == checksum(slot, entry) && entry.issued == record && entry.completed[0] == record &&
         entry.completed[1] == record;
}

std::uint64_t Book::checksum(std::uint64_t slot, const Entry& entry) const {
  return mix(mix(mix(mix(nonce_ ^ slot) ^ entry.issued) ^ entry.completed[0]) ^ entry.completed[1]);
}

}  // namespace tintype::guest
