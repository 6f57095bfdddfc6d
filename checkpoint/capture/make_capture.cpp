// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "checkpoint/capture/strategy.h"
#include "vmm/base/error.h"

namespace tintype {

namespace {

constexpr StrategyRow kStrategies[] = {
    {Strategy::kStop, false, make_stop}, {Strategy::kPrecopy, true, make_precopy}, {Strategy::kCow, true, make_cow},
    {Strategy::kFork, false, make_fork}, {Strategy::kHybrid, true, make_hybrid},
};

}  // namespace

std::span<const StrategyRow> strategies() noexcept { return kStrategies; }

std::unique_ptr<MemoryCapture> make_capture(Strategy strategy, CaptureEngine& engine) {
  for (const StrategyRow& row : kStrategies) {
    if (row.strategy == strategy) return row.make(engine);
  }
  throw Error("there is no such strategy");
}

}  // namespace tintype
