// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "checkpoint/capture/chunks.h"
#include "checkpoint/capture/residency.h"
#include "checkpoint/capture/strategy.h"

namespace tintype {

/// The plainest strategy: the machine stays paused while memory is written to the destination. It works on every host,
/// and is what the others are compared with.
class StopCapture : public MemoryCapture {
 public:
  explicit StopCapture(GuestMemory& memory);

  void prepare() override {}
  void protect() override;
  bool copies_while_paused() const noexcept override { return true; }
  void copy_out(PartWriter& part, const ProgressSink& progress) override;
  void release() noexcept override {}
  MemoryReport report() const override { return report_; }

 private:
  GuestMemory& memory_;
  ChunkTable chunks_;
  Residency residency_;
  MemoryReport report_;
};

}  // namespace tintype
