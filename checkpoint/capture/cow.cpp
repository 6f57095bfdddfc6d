// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/engine_capture.h"

namespace tintype {

namespace {

/// Copy on write: all that is to be saved is write-protected in the pause, and copied afterwards. Where the guest
/// writes to a chunk that has not been copied yet, its old contents go to the capture area first, and the guest goes
/// on.
class CowCapture final : public EngineCapture {
 public:
  explicit CowCapture(CaptureEngine& engine) : EngineCapture(engine, Need::kHold) {}
};

}  // namespace

std::unique_ptr<MemoryCapture> make_cow(CaptureEngine& engine) { return std::make_unique<CowCapture>(engine); }

}  // namespace tintype
