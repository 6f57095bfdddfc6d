// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "checkpoint/capture/destination.h"
#include "checkpoint/capture/page_sink.h"
#include "checkpoint/capture/strategy.h"
#include "checkpoint/format/report.h"
#include "vmm/base/progress.h"

namespace tintype {

/// Guest memory on its way into the checkpoint: has the destination write what a capture puts, and keeps count.
class MemoryPart final : public PageSink {
 public:
  /// `everything`: pages that never come are zero; otherwise they are the parent's.
  MemoryPart(Destination& destination, const MemoryCapture& capture, std::uint64_t pages_total, bool everything,
             const ProgressSink& progress);

  void expect(std::uint64_t pages) override { pages_expected_ = pages_done_ + pages; }
  Ticket put(std::vector<Run> runs, std::shared_ptr<const void> owner) override;
  void drop(const Ticket& ticket) override;
  void done(std::uint64_t pages) override;

  /// Adds pages and bytes to what the capture says of itself, when all has been written. It may be called on the
  /// destination's thread, and outlives this object.
  std::function<void(MemoryReport&)> completion() const;

 private:
  struct Count;

  Destination& destination_;
  const MemoryCapture& capture_;
  const ProgressSink& progress_;
  std::chrono::steady_clock::time_point last_told_{};
  const std::uint64_t pages_total_;
  const bool everything_;
  std::uint64_t pages_expected_ = 0, pages_done_ = 0;
  const std::shared_ptr<Count> count_;  ///< of what has been written, which may be less than what was put
};

}  // namespace tintype
