// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/memory_part.h"

#include <mutex>
#include <utility>

#include "vmm/memory/gpa.h"

namespace tintype {

namespace {
constexpr auto kProgressInterval = std::chrono::milliseconds(100);
}  // namespace

/// Threads of the destination count, several at a time.
struct MemoryPart::Count {
  std::mutex mutex;  // guards the rest
  std::uint64_t pages_written = 0, pages_zero = 0, bytes_written = 0;

  void add(const Ticket& ticket, bool added) noexcept {
    const std::lock_guard lock(mutex);
    const std::uint64_t sign = added ? 1 : ~0ULL;
    for (const BlockSink::Appended& written : *ticket) {
      pages_written += sign * written.written_blocks;
      pages_zero += sign * written.zero_blocks;
      bytes_written += sign * written.stored_bytes;
    }
  }
};

MemoryPart::MemoryPart(Destination& destination, const MemoryCapture& capture, std::uint64_t pages_total,
                       bool everything, const ProgressSink& progress)
    : destination_(destination),
      capture_(capture),
      progress_(progress),
      pages_total_(pages_total),
      everything_(everything),
      count_(std::make_shared<Count>()) {}

PageSink::Ticket MemoryPart::put(std::vector<Run> runs, std::shared_ptr<const void> owner) {
  auto ticket = std::make_shared<std::vector<BlockSink::Appended>>();
  destination_.put(
      [runs = std::move(runs), owner = std::move(owner), ticket, count = count_](CheckpointTarget& target) {
        for (const Run& run : runs) ticket->push_back(target.memory_part().append(run.first_page, run.bytes));
        count->add(ticket, true);
      },
      [this] { return capture_.guest_waits(); });
  return ticket;
}

void MemoryPart::drop(const Ticket& ticket) {
  if (!ticket) return;
  destination_.put_alone(
      [ticket, count = count_](CheckpointTarget& target) {
        for (const BlockSink::Appended& written : *ticket) target.memory_part().drop(written.ticket);
        count->add(ticket, false);
      },
      [this] { return capture_.guest_waits(); });
}

void MemoryPart::done(std::uint64_t pages) {
  pages_done_ += pages;
  const auto now = std::chrono::steady_clock::now();
  if (!progress_ || (now - last_told_ < kProgressInterval && pages_done_ != pages_expected_)) return;
  last_told_ = now;
  progress_({"memory", pages_done_ * kPageSize, pages_expected_ * kPageSize});
}

std::function<void(MemoryReport&)> MemoryPart::completion() const {
  return [count = count_, total = pages_total_, everything = everything_](MemoryReport& report) {
    const std::lock_guard lock(count->mutex);
    report.pages_total = total;
    report.pages_written = count->pages_written;
    // Absent ones too, or those that came.
    report.pages_zero = everything ? total - count->pages_written : count->pages_zero;
    report.bytes_written = count->bytes_written;
  };
}

}  // namespace tintype
