// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/cow.h"
#include "checkpoint/capture/stop.h"
#include "checkpoint/capture/strategy.h"
#include "checkpoint/capture/userfault.h"
#include "vmm/base/error.h"

namespace tintype {

Strategy best_strategy() { return probe_userfault().write_protect ? Strategy::kCow : Strategy::kStop; }

std::unique_ptr<MemoryCapture> make_capture(Strategy strategy, GuestMemory& memory) {
  switch (strategy) {
    case Strategy::kStop:
      return std::make_unique<StopCapture>(memory);
    case Strategy::kCow:
      return std::make_unique<CowCapture>(memory);
    default:
      throw Error("this version offers the strategies auto, stop and cow: choose one of them");
  }
}

}  // namespace tintype
