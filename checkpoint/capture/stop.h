// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "checkpoint/capture/chunks.h"
#include "checkpoint/capture/copy_buffer.h"
#include "checkpoint/capture/residency.h"
#include "checkpoint/capture/strategy.h"

namespace tintype {

/// The plainest strategy: the machine stays paused while memory is written to the destination. It works on every host,
/// and is what the others are compared with.
class StopCapture : public MemoryCapture {
 public:
  explicit StopCapture(GuestMemory& memory);

  void prepare(std::uint64_t area_bytes, const Cancellation& cancellation) override;
  void protect() override;
  bool copies_while_paused() const noexcept override { return true; }
  void copy_out(PageSink& sink) override;
  bool guest_waits() const noexcept override { return true; }
  void release() noexcept override {}
  MemoryReport report() const override { return {}; }

 private:
  ChunkTable chunks_;
  Residency residency_;
  CopyBuffer buffer_;
};

}  // namespace tintype
