// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <vector>

#include "devices/block/flight.h"

namespace tintype {

/// The order of writes. A write that overlaps an earlier unfinished one waits for it: the newest data of a sector could
/// otherwise end up in one layer for one of them and in another layer for the other. On the base alone, where there is
/// one place for each sector, it waits as well: what a checkpoint found in this order is issued again in this order.
/// Guests rarely write the same sectors twice at a time, so this costs a look at a short list. The disk's mutex guards
/// it.
class WriteOrder {
 public:
  /// True where the write may start now; else it is kept, and release() hands it out when its turn has come.
  bool may_start(Flight& write);
  void started(Flight& write) { in_flight_.push_back(&write); }
  void finished(Flight& write) noexcept;
  /// A write that has started and could not be done waits again, before all others.
  void put_back(Flight& write) { waiting_.push_front(&write); }
  /// Takes out a waiting write that no longer overlaps anything before it, or nullptr.
  Flight* release() noexcept;

  /// A write that was planned in `epoch` or before is still in flight.
  bool in_flight_since(std::uint64_t epoch) const noexcept;
  /// The sectors of writes in flight that overlap `range`.
  std::vector<SectorRange> busy(const SectorRange& range) const;

 private:
  bool overlaps_in_flight(const Flight& write) const noexcept;

  std::vector<Flight*> in_flight_;
  std::deque<Flight*> waiting_;
};

}  // namespace tintype
