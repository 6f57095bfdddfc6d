// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/engine_capture.h"

namespace tintype {

namespace {

/// Rounds of copying ahead, as `precopy`, and then copy on write, as `cow`, for what is still being written to. So only
/// little is held when the guest runs again, and a guest with a small working set hardly meets it.
class HybridCapture final : public EngineCapture {
 public:
  explicit HybridCapture(CaptureEngine& engine) : EngineCapture(engine, Need::kHold) {}
  void precopy(PageSink& sink) override { engine_.precopy(sink); }
};

}  // namespace

std::unique_ptr<MemoryCapture> make_hybrid(CaptureEngine& engine) { return std::make_unique<HybridCapture>(engine); }

}  // namespace tintype
