// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/engine_capture.h"
#include "checkpoint/tracking/userfault.h"

namespace tintype {

namespace {

/// The plainest strategy: the machine stays paused while memory is written to the destination. It works on every host,
/// and is what the others are compared with. Where the host can write-protect, memory is protected all the same, so
/// that the next checkpoint knows what was written.
class StopCapture final : public EngineCapture {
 public:
  explicit StopCapture(CaptureEngine& engine)
      : EngineCapture(engine, {.protects = probe_userfault().write_protect, .preserves = false}) {}
  bool copies_while_paused() const noexcept override { return true; }
};

}  // namespace

std::unique_ptr<MemoryCapture> make_stop(CaptureEngine& engine) { return std::make_unique<StopCapture>(engine); }

}  // namespace tintype
