// SPDX-License-Identifier: Apache-2.0
#include "devices/block/write_order.h"

#include <algorithm>

namespace tintype {
namespace {

template <typename List>
bool any_overlaps(const List& list, typename List::const_iterator end, const Flight& write) noexcept {
  return std::any_of(list.begin(), end, [&](const Flight* other) { return other->range.overlaps(write.range); });
}

}  // namespace

bool WriteOrder::overlaps_in_flight(const Flight& write) const noexcept {
  return any_overlaps(in_flight_, in_flight_.end(), write);
}

bool WriteOrder::may_start(Flight& write) {
  const bool in_turn = !any_overlaps(waiting_, waiting_.end(), write) && !overlaps_in_flight(write);
  if (!in_turn) waiting_.push_back(&write);
  return in_turn;
}

void WriteOrder::finished(Flight& write) noexcept {
  const auto place = std::find(in_flight_.begin(), in_flight_.end(), &write);
  *place = in_flight_.back();
  in_flight_.pop_back();
}

Flight* WriteOrder::release() noexcept {
  for (auto next = waiting_.begin(); next != waiting_.end(); ++next) {
    Flight* const write = *next;
    if (overlaps_in_flight(*write) || any_overlaps(waiting_, next, *write)) continue;
    waiting_.erase(next);
    return write;
  }
  return nullptr;
}

bool WriteOrder::in_flight_since(std::uint64_t epoch) const noexcept {
  return std::any_of(in_flight_.begin(), in_flight_.end(), [&](const Flight* write) { return write->epoch <= epoch; });
}

std::vector<SectorRange> WriteOrder::busy(const SectorRange& range) const {
  std::vector<SectorRange> overlapping;
  for (const Flight* write : in_flight_) {
    if (write->range.overlaps(range)) overlapping.push_back(intersection(write->range, range));
  }
  return overlapping;
}

}  // namespace tintype
