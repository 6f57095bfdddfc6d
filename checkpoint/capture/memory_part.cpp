// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/memory_part.h"

#include "vmm/memory/gpa.h"

namespace tintype {

namespace {
constexpr auto kProgressInterval = std::chrono::milliseconds(100);
}  // namespace

MemoryPart::MemoryPart(PartWriter& part, std::uint64_t pages_total, const ProgressSink& progress)
    : part_(part), progress_(progress), pages_total_(pages_total) {}

void MemoryPart::put(std::vector<Run> runs, std::shared_ptr<const void>) {
  for (const Run& run : runs) {
    const PartWriter::Appended appended = part_.append(run.first_page, run.bytes);
    pages_written_ += appended.written_blocks;
    bytes_written_ += appended.stored_bytes;
  }
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
