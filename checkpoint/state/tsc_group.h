// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "vmm/kvm/vcpu.h"

namespace tintype {

inline constexpr std::uint32_t kMsrTsc = 0x10;  ///< IA32_TIME_STAMP_COUNTER

/// The time stamp counters of one machine's CPUs, which are read and given one after the other, and yet are of one
/// instant: guests count on them to agree. KVM takes two values that are written for one only where they come within a
/// second of each other; on a busy host they may not. So all but the first CPU's are known by how far KVM has them from
/// the first (KVM API, devices/vcpu, KVM_VCPU_TSC_OFFSET). Where KVM does not tell, each is as it is read and written.
/// The first CPU is read first and given first, by the same thread as the others, and as the machine's clock after
/// them.
class TscGroup {
 public:
  using Clock = std::chrono::steady_clock;

  /// What this CPU's counter, which was just read as `value`, showed when the first one's was read.
  std::uint64_t read(const KvmVcpu& vcpu, std::uint64_t value);
  /// True: this CPU's counter goes on from `value`, which it had when the first one's had what that was given. False:
  /// write it.
  [[nodiscard]] bool give(KvmVcpu& vcpu, std::uint64_t value);
  /// The counter has been written.
  void written(const KvmVcpu& vcpu, std::uint64_t value);

  /// How long before `now` the first CPU's counter had the value that was read, or given. Guests compare it with
  /// kvmclock, and take the one for broken that runs away from the other. Zero where that is not known.
  std::chrono::nanoseconds since_read(Clock::time_point now) const { return since(read_, now); }
  std::chrono::nanoseconds since_given(Clock::time_point now) const { return since(given_, now); }

 private:
  struct First {
    std::uint64_t value, offset;
    Clock::time_point at;
  };
  static std::optional<First> look_at(const KvmVcpu& vcpu);
  static std::chrono::nanoseconds since(const std::optional<First>& first, Clock::time_point now);

  std::optional<First> read_, given_;
};

}  // namespace tintype
