// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>

namespace tintype {

/// How long a thread looks for work before it sleeps: as long as that has paid lately. To be woken costs more than to
/// look, and a guest that rings a bell leaves its CPU for that; but who looks in vain keeps a CPU from others.
///
/// Work that comes while the thread looks changes nothing. Work that comes soon after makes it look twice as long,
/// work that is long in coming half as long, down to not at all.
class PollWindow {
 public:
  using Duration = std::chrono::nanoseconds;

  /// Never longer than `longest`; 0 switches it off.
  explicit PollWindow(Duration longest) noexcept : longest_(longest) {}

  Duration length() const noexcept { return length_; }
  /// There was nothing to do for that long, looking and asleep.
  void waited(Duration time) noexcept {
    if (time <= length_) return;
    if (time <= longest_) {
      length_ = std::min(longest_, std::max(kFirst, 2 * length_));
    } else {
      length_ = length_ > kFirst ? length_ / 2 : Duration::zero();
    }
  }

 private:
  static constexpr Duration kFirst = std::chrono::microseconds(4);

  const Duration longest_;
  Duration length_ = Duration::zero();
};

}  // namespace tintype
