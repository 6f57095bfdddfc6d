// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/stop.h"

#include "checkpoint/capture/chunk_writer.h"

namespace tintype {

StopCapture::StopCapture(GuestMemory& memory) : memory_(memory), chunks_(memory), residency_(memory) {}

void StopCapture::protect() { residency_.scan(); }

void StopCapture::copy_out(PartWriter& part, const ProgressSink& progress) {
  ChunkWriter writer(part, residency_, memory_.pages(), progress);
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    writer.keep(writer.write(chunks_[i], chunks_[i].bytes()));
    writer.tell_progress(chunks_[i].first_page + chunks_[i].pages);
  }
  report_ = writer.report();
}

}  // namespace tintype
