// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/engine_capture.h"

namespace tintype {

namespace {

/// The plainest strategy: the machine stays paused while memory is written to the destination. It works on every host,
/// and is what the others are compared with. Where the host lets us know what was written, the next checkpoint builds
/// on this one.
class StopCapture final : public EngineCapture {
 public:
  explicit StopCapture(CaptureEngine& engine) : EngineCapture(engine, Need::kNothing) {}
  bool copies_while_paused() const noexcept override { return true; }
};

}  // namespace

std::unique_ptr<MemoryCapture> make_stop(CaptureEngine& engine) { return std::make_unique<StopCapture>(engine); }

}  // namespace tintype
