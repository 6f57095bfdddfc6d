// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "vmm/machine/page_walk.h"

namespace tintype {

/// Linear addresses that lie one after the other in physical memory too.
struct MappedRun {
  std::uint64_t linear = 0, physical = 0, bytes = 0;
  bool operator==(const MappedRun&) const = default;
};

struct MappedRuns {
  std::vector<MappedRun> runs;  ///< ascending by their linear addresses
  bool whole = true;            ///< false: there were more, or the tables have no end
};

/// How much is looked at: tables are the guest's, and may refer to each other in circles.
struct MappedRunLimits {
  std::size_t tables = 1 << 16;
  std::size_t runs = 60'000;
};

/// All that the page tables of a CPU in long mode map; nothing for other modes.
MappedRuns mapped_runs(const ReadPhysical& memory, const kvm_sregs& sregs, const MappedRunLimits& limits = {});

}  // namespace tintype
