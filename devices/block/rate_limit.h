// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace tintype {

/// At most so many requests, and so many bytes, a second: 0 is no limit. Who has been quiet may be quick for a tenth of
/// a second.
class RateLimit {
 public:
  using Clock = std::chrono::steady_clock;

  RateLimit(std::uint64_t requests, std::uint64_t bytes) : requests_(requests), bytes_(bytes) {}

  /// When a request of so many bytes may start, in the order of the calls; it counts.
  Clock::time_point admit(Clock::time_point now, std::uint64_t bytes) {
    const Clock::time_point start = std::max(free_at_, now - kBurst);
    free_at_ = start + std::max(share(1, requests_), share(bytes, bytes_));
    return std::max(start, now);
  }

 private:
  static constexpr Clock::duration kBurst = std::chrono::milliseconds(100);

  static Clock::duration share(std::uint64_t part, std::uint64_t of_a_second) {
    if (of_a_second == 0) return {};
    const std::chrono::duration<double> time(static_cast<double>(part) / static_cast<double>(of_a_second));
    return std::chrono::duration_cast<Clock::duration>(time);
  }

  std::uint64_t requests_, bytes_;
  Clock::time_point free_at_{};
};

}  // namespace tintype
