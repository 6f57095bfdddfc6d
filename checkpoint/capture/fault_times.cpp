// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/fault_times.h"

#include <algorithm>

namespace tintype {

namespace {
constexpr std::size_t kRemembered = 1 << 16;
}

FaultLog::FaultLog() { times_.reserve(kRemembered); }

void FaultLog::add(std::uint64_t microseconds) noexcept {
  ++count_;
  longest_ = std::max(longest_, microseconds);
  if (times_.size() < times_.capacity())
    times_.push_back(static_cast<std::uint32_t>(std::min<std::uint64_t>(microseconds, UINT32_MAX)));
}

FaultTimes FaultLog::summary() const {
  if (times_.empty()) return {};
  std::vector<std::uint32_t> sorted = times_;
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](double share) {
    return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
  };
  return {at(0.5), at(0.99), longest_};
}

}  // namespace tintype
