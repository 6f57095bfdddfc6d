// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "devices/host_clock.h"

namespace tintype {

/// Time that stands still until a test moves it.
class FakeClock final : public HostClock {
 public:
  std::uint64_t monotonic_ns() const noexcept override { return monotonic; }
  std::int64_t utc_us() const noexcept override { return utc; }

  void advance_us(std::int64_t us) noexcept {
    monotonic += static_cast<std::uint64_t>(us) * 1000;
    utc += us;
  }

  std::uint64_t monotonic = 123'456'789'012'345;
  std::int64_t utc = 1'700'000'000'000'000;  // 2023-11-14 22:13:20, a Tuesday
};

}  // namespace tintype
