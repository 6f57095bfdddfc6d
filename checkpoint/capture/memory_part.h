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
  /// `everything`: pages that never come are zero; otherwise they are the parent's.
  MemoryPart(Destination& destination, const MemoryCapture& capture, std::uint64_t pages_total, bool everything,
             const ProgressSink& progress);

  void expect(std::uint64_t pages) override { pages_expected_ = pages_done_ + pages; }
  Ticket put(std::vector<Run> runs, std::shared_ptr<const void> owner) override;
  void drop(const Ticket& ticket) override;
  void done(std::uint64_t pages) override;

  /// Adds pages and bytes to what the capture says of itself.
  void complete(MemoryReport& report) const;

 private:
  void run(Destination::Work work);
  void count(const Ticket& ticket, bool added) noexcept;

  Destination& destination_;
  const MemoryCapture& capture_;
  const ProgressSink& progress_;
  std::chrono::steady_clock::time_point last_told_{};
  const std::uint64_t pages_total_;
  const bool everything_;
  std::uint64_t pages_expected_ = 0, pages_done_ = 0;
  std::uint64_t pages_written_ = 0, pages_zero_ = 0, bytes_written_ = 0;
};

}  // namespace tintype
