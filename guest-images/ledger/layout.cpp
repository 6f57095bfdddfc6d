// SPDX-License-Identifier: Apache-2.0
#include "guest-images/ledger/layout.h"

namespace tintype::guest {
namespace {

// The x with a * x = 1 modulo m, or 0 if there is none (Euclid, run backwards).
std::uint64_t inverse(std::uint64_t a, std::uint64_t m) {
  auto r = static_cast<std::int64_t>(m), next_r = static_cast<std::int64_t>(a);
  std::int64_t t = 0, next_t = 1;
  while (next_r != 0) {
    const std::int64_t quotient = r / next_r;
    const std::int64_t old_t = t, old_r = r;
    t = next_t;
    next_t = old_t - quotient * next_t;
    r = next_r;
    next_r = old_r - quotient * next_r;
  }
  if (r != 1) return 0;
  return static_cast<std::uint64_t>(t < 0 ? t + static_cast<std::int64_t>(m) : t);
}

}  // namespace

Layout::Layout(std::uint64_t sectors) : slots_(sectors / kGroupSectors * kGroup) {
  if (slots_ == 0) return;
  // The golden section scatters best; take the next number that visits every slot.
  for (stride_ = slots_ * 618 / 1000 + 1;; ++stride_) {
    inverse_ = inverse(stride_, slots_);
    if (inverse_ != 0) return;
  }
}

std::uint64_t Layout::first_sector(std::uint64_t slot) const {
  std::uint64_t sector = slot / kGroup * kGroupSectors;
  for (std::uint64_t i = 0; i != slot % kGroup; ++i) sector += kSizes[i];
  return sector;
}

std::uint64_t Layout::last_record_in(std::uint64_t slot, std::uint64_t records) const {
  std::uint64_t first = slot * inverse_ % slots_;
  if (first == 0) first = slots_;
  return records < first ? 0 : first + (records - first) / slots_ * slots_;
}

}  // namespace tintype::guest
