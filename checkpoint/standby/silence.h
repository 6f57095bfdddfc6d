// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace tintype {

/// How long nothing was heard of somebody, of the time in which one listened. Who stood still himself (his computer was
/// suspended, or had much else to do), or was busy with what had come, has missed it: by that nobody fell silent. Its
/// owner guards it.
class Silence {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = std::chrono::milliseconds;
  /// Between two looks no more than this counts.
  static constexpr Time kMostBetweenLooks{100};

  void heard() noexcept { lasts_ = {}; }
  /// Called again and again, more often than that. How long it has lasted.
  Time look(Clock::time_point now, bool listening) noexcept {
    const auto passed = looked_ ? now - *looked_ : Clock::duration{};
    looked_ = now;
    lasts_ = listening ? lasts_ + std::min<Clock::duration>(passed, kMostBetweenLooks) : Clock::duration{};
    return std::chrono::duration_cast<Time>(lasts_);
  }

 private:
  std::optional<Clock::time_point> looked_;
  Clock::duration lasts_{};
};

}  // namespace tintype
