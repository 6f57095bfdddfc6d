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
  /// Interrupts that were given to the guest, its timers' ticks among them; 0 where KVM does not tell.
  std::uint64_t interrupts() const noexcept;

 private:
  std::optional<std::uint64_t> find(const char* name) const;

  UniqueFd fd_;
  std::optional<std::uint64_t> interrupts_at_;  ///< in the file
};

}  // namespace tintype
