// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/format/report.h"
#include "checkpoint/tracking/userfault.h"

namespace tintype {

/// What `auto` goes by.
struct CaptureSituation {
  UserfaultSupport userfault;
  std::uint64_t guest_bytes = 0;  ///< of memory that is there
  std::uint64_t host_bytes = 0;   ///< that this host can still give away
};

struct StrategyChoice {
  Strategy strategy = Strategy::kStop;
  std::string because;  ///< half a sentence, for the report
};

/// What kAuto means here and now: the strategy that the guest feels least, of those that can be. The order is measured
/// (tests/bench): `cow` wherever memory can be write-protected, `fork` otherwise, `stop` where there is no room for a
/// fork either.
StrategyChoice choose_strategy(const CaptureSituation& situation);

}  // namespace tintype
