// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/stop.h"

namespace tintype {

StopCapture::StopCapture(GuestMemory& memory) : chunks_(memory), residency_(memory) {}

void StopCapture::prepare(std::uint64_t, const Cancellation&) { buffer_.prepare(); }

void StopCapture::protect() { residency_.scan(); }

// Nothing is protected: the host's reads in flight go on putting data into guest memory. So each chunk is copied before
// it is looked at.
void StopCapture::copy_out(PageSink& sink) {
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    const Chunk& chunk = chunks_[i];
    residency_.copy(chunk, buffer_.bytes());
    sink.put(residency_.runs(chunk, buffer_.bytes()), buffer_.owner());
    sink.done(chunk.pages);
  }
}

}  // namespace tintype
