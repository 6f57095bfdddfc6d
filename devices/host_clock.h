// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

namespace tintype {

/// The host's time, for devices that show time to the guest. Tests put their own in its place. Any thread.
class HostClock {
 public:
  virtual ~HostClock() = default;
  /// Nanoseconds since some fixed moment; never goes back.
  virtual std::uint64_t monotonic_ns() const noexcept {
    return static_cast<std::uint64_t>(
        std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
  }
  /// Microseconds since 1970-01-01 00:00 UTC.
  virtual std::int64_t utc_us() const noexcept {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

}  // namespace tintype
