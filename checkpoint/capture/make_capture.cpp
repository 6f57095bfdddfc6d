// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>

#include "checkpoint/capture/strategy.h"
#include "vmm/base/error.h"

namespace tintype {

namespace {

constexpr StrategyRow kStrategies[] = {
    {Strategy::kStop, Need::kNothing, false, make_stop}, {Strategy::kPrecopy, Need::kKnow, true, make_precopy},
    {Strategy::kCow, Need::kHold, false, make_cow},      {Strategy::kFork, Need::kNothing, false, make_fork},
    {Strategy::kHybrid, Need::kHold, true, make_hybrid},
};

}  // namespace

std::string obstacle(Need need, const TrackingSupport& support) {
  if (need == Need::kHold) return support.cannot_hold;
  return need == Need::kKnow ? support.cannot_know : std::string();
}

std::span<const StrategyRow> strategies() noexcept { return kStrategies; }

bool copies_ahead(Strategy strategy) noexcept {
  const auto row = std::ranges::find(kStrategies, strategy, &StrategyRow::strategy);
  return row != std::end(kStrategies) && row->copies_ahead;
}

std::unique_ptr<MemoryCapture> make_capture(Strategy strategy, CaptureEngine& engine) {
  for (const StrategyRow& row : kStrategies) {
    if (row.strategy == strategy) return row.make(engine);
  }
  throw Error("there is no such strategy");
}

}  // namespace tintype
