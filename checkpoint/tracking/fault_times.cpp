// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/fault_times.h"

#include <algorithm>
#include <cmath>

namespace tintype {

namespace {
constexpr std::size_t kRemembered = 1 << 16;
}

std::size_t rank_of(double share, std::size_t count) noexcept {
  const auto within = static_cast<std::size_t>(std::ceil(share * static_cast<double>(count)));
  return std::clamp<std::size_t>(within, 1, count) - 1;
}

FaultLog::FaultLog() { times_.reserve(kRemembered); }

void FaultLog::clear() noexcept {
  times_.clear();
  count_ = longest_ = put_off_ = 0;
}

void FaultLog::add(std::uint64_t microseconds, bool put_off) noexcept {
  ++count_;
  put_off_ += put_off ? 1 : 0;
  longest_ = std::max(longest_, microseconds);
  if (times_.size() < times_.capacity())
    times_.push_back(static_cast<std::uint32_t>(std::min<std::uint64_t>(microseconds, UINT32_MAX)));
}

std::uint64_t FaultLog::percentile(double share) const {
  if (times_.empty()) return 0;
  std::vector<std::uint32_t> times = times_;
  const auto at = times.begin() + static_cast<std::ptrdiff_t>(rank_of(share, times.size()));
  std::nth_element(times.begin(), at, times.end());
  return *at;
}

}  // namespace tintype
