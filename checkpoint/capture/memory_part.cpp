// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/memory_part.h"

#include <utility>

#include "vmm/memory/gpa.h"

namespace tintype {

namespace {
constexpr auto kProgressInterval = std::chrono::milliseconds(100);
}  // namespace

MemoryPart::MemoryPart(Destination& destination, const MemoryCapture& capture, std::uint64_t pages_total,
                       bool everything, const ProgressSink& progress)
    : destination_(destination),
      capture_(capture),
      progress_(progress),
      pages_total_(pages_total),
      everything_(everything) {}

PageSink::Ticket MemoryPart::put(std::vector<Run> runs, std::shared_ptr<const void> owner) {
  const auto ticket = std::make_shared<Ticket>();
  run([runs = std::move(runs), owner = std::move(owner), ticket](CheckpointTarget& target) {
    for (const Run& run : runs) ticket->push_back(target.memory_part().append(run.first_page, run.bytes));
  });
  count(*ticket, true);
  return *ticket;
}

void MemoryPart::drop(const Ticket& ticket) {
  if (ticket.empty()) return;
  run([ticket](CheckpointTarget& target) {
    for (const BlockSink::Appended& written : ticket) target.memory_part().drop(written.ticket);
  });
  count(ticket, false);
}

void MemoryPart::run(Destination::Work work) {
  destination_.run(std::move(work), [this] { return capture_.guest_waits(); });
}

void MemoryPart::count(const Ticket& ticket, bool added) noexcept {
  const std::uint64_t sign = added ? 1 : ~0ULL;
  for (const BlockSink::Appended& written : ticket) {
    pages_written_ += sign * written.written_blocks;
    pages_zero_ += sign * written.zero_blocks;
    bytes_written_ += sign * written.stored_bytes;
  }
}

void MemoryPart::done(std::uint64_t pages) {
  pages_done_ += pages;
  const auto now = std::chrono::steady_clock::now();
  if (!progress_ || (now - last_told_ < kProgressInterval && pages_done_ != pages_expected_)) return;
  last_told_ = now;
  progress_({"memory", pages_done_ * kPageSize, pages_expected_ * kPageSize});
}

void MemoryPart::complete(MemoryReport& report) const {
  report.pages_total = pages_total_;
  report.pages_written = pages_written_;
  report.pages_zero = everything_ ? pages_total_ - pages_written_ : pages_zero_;  // absent ones too, or those that came
  report.bytes_written = bytes_written_;
}

}  // namespace tintype
