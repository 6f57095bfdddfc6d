// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tintype {

/// Of so many sorted values the one that a share of them (0.5, 0.99) does not exceed (nearest rank): its index.
std::size_t rank_of(double share, std::size_t count) noexcept;

/// Collects how long faults took, in microseconds. One thread at a time; memory is bounded: past the limit every
/// further one only counts for the maximum.
class FaultLog {
 public:
  FaultLog();
  void clear() noexcept;
  /// `put_off`: it had to wait for room.
  void add(std::uint64_t microseconds, bool put_off = false) noexcept;
  std::uint64_t count() const noexcept { return count_; }
  /// What a share of the faults (0.5, 0.99) did not exceed; 0 where there was none.
  std::uint64_t percentile(double share) const;
  std::uint64_t longest() const noexcept { return longest_; }
  std::uint64_t put_off() const noexcept { return put_off_; }

 private:
  std::vector<std::uint32_t> times_;
  std::uint64_t count_ = 0;
  std::uint64_t longest_ = 0;
  std::uint64_t put_off_ = 0;
};

}  // namespace tintype
