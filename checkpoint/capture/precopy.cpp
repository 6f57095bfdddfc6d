// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/engine_capture.h"

namespace tintype {

namespace {

/// Memory is copied while the guest runs, and what it writes meanwhile again, in rounds; what then remains is copied in
/// the pause. The pause is short where the guest writes to little of its memory, and as long as that of `stop` where it
/// writes to all of it.
class PrecopyCapture final : public EngineCapture {
 public:
  explicit PrecopyCapture(CaptureEngine& engine) : EngineCapture(engine, Need::kKnow) {}
  void precopy(PageSink& sink) override { engine_.precopy(sink); }
  bool copies_while_paused() const noexcept override { return true; }
};

}  // namespace

std::unique_ptr<MemoryCapture> make_precopy(CaptureEngine& engine) { return std::make_unique<PrecopyCapture>(engine); }

}  // namespace tintype
