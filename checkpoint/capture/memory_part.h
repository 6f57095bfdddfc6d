// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

#include "checkpoint/capture/destination.h"
#include "checkpoint/capture/page_sink.h"
#include "checkpoint/capture/strategy.h"
#include "checkpoint/format/report.h"
#include "vmm/base/progress.h"

namespace tintype {

/// Guest memory on its way into the checkpoint: writes what a capture puts, and keeps count.
class MemoryPart final : public PageSink {
 public:
  MemoryPart(Destination& destination, const MemoryCapture& capture, std::uint64_t pages_total,
             const ProgressSink& progress);

  void put(std::vector<Run> runs, std::shared_ptr<const void> owner) override;
  void done(std::uint64_t pages) override;

  /// Adds pages and bytes to what the capture says of itself.
  void complete(MemoryReport& report) const;

 private:
  Destination& destination_;
  const MemoryCapture& capture_;
  const ProgressSink& progress_;
  std::chrono::steady_clock::time_point last_told_{};
  std::uint64_t pages_total_, pages_done_ = 0, pages_written_ = 0, bytes_written_ = 0;
};

}  // namespace tintype
