// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// What KVM counts of one vCPU (KVM API, "KVM_GET_STATS_FD", Linux 5.14). Reading it waits for nobody: any thread, also
/// while the guest runs.
class VcpuStatistics {
 public:
  /// Of a descriptor that KVM_GET_STATS_FD gave; none where this kernel has no such thing.
  explicit VcpuStatistics(UniqueFd fd);
  /// Interrupts that were given to the guest, its timers' ticks among them; nothing where KVM does not tell.
  std::optional<std::uint64_t> interrupts() const noexcept { return value_at(interrupts_at_); }
  /// Faults that KVM mended by mapping a page, or letting it be written; nothing where KVM does not tell.
  std::optional<std::uint64_t> page_faults() const noexcept { return value_at(page_faults_at_); }

 private:
  std::optional<std::uint64_t> value_at(std::optional<std::uint64_t> place) const noexcept;

  UniqueFd fd_;
  std::optional<std::uint64_t> interrupts_at_, page_faults_at_;  ///< in the file; nothing where it is not counted
};

}  // namespace tintype
