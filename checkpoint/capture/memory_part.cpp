// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/memory_part.h"

#include "vmm/memory/gpa.h"

namespace tintype {

namespace {
constexpr auto kProgressInterval = std::chrono::milliseconds(100);
}  // namespace

MemoryPart::MemoryPart(Destination& destination, const MemoryCapture& capture, std::uint64_t pages_total,
                       const ProgressSink& progress)
    : destination_(destination), capture_(capture), progress_(progress), pages_total_(pages_total) {}

void MemoryPart::put(std::vector<Run> runs, std::shared_ptr<const void> owner) {
  if (runs.empty()) return;
  const auto written = std::make_shared<BlockSink::Appended>();
  destination_.run(
      [runs = std::move(runs), owner = std::move(owner), written](CheckpointTarget& target) {
        for (const Run& run : runs) {
          const BlockSink::Appended appended = target.memory_part().append(run.first_page, run.bytes);
          written->written_blocks += appended.written_blocks;
          written->stored_bytes += appended.stored_bytes;
        }
      },
      [this] { return capture_.guest_waits(); });
  pages_written_ += written->written_blocks;
  bytes_written_ += written->stored_bytes;
}

void MemoryPart::done(std::uint64_t pages) {
  pages_done_ += pages;
  const auto now = std::chrono::steady_clock::now();
  if (!progress_ || (now - last_told_ < kProgressInterval && pages_done_ != pages_total_)) return;
  last_told_ = now;
  progress_({"memory", pages_done_ * kPageSize, pages_total_ * kPageSize});
}

void MemoryPart::complete(MemoryReport& report) const {
  report.pages_total = pages_total_;
  report.pages_written = pages_written_;
  report.pages_zero = pages_total_ - pages_written_;  // absent, or present and zero
  report.bytes_written = bytes_written_;
}

}  // namespace tintype
