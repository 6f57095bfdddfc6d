// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "checkpoint/format/report.h"

namespace tintype {

/// Collects how long faults took. One thread adds; memory is bounded: past the limit every further one only counts for
/// the maximum.
class FaultLog {
 public:
  FaultLog();
  void add(std::uint64_t microseconds) noexcept;
  std::uint64_t count() const noexcept { return count_; }
  FaultTimes summary() const;

 private:
  std::vector<std::uint32_t> times_;
  std::uint64_t count_ = 0;
  std::uint64_t longest_ = 0;
};

}  // namespace tintype
