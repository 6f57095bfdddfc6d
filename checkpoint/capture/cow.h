// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "checkpoint/capture/capture_area.h"
#include "checkpoint/capture/chunks.h"
#include "checkpoint/capture/copy_buffer.h"
#include "checkpoint/capture/fault_times.h"
#include "checkpoint/capture/residency.h"
#include "checkpoint/capture/strategy.h"
#include "checkpoint/capture/userfault.h"
#include "vmm/base/event_fd.h"

namespace tintype {

/// Copy on write: memory is write-protected in the pause; afterwards, guest running, two threads share the work.
///
/// The handler waits for write faults. It copies the chunk's old contents to the capture area, releases the chunk at
/// once, and goes on to the next fault; it touches neither the destination nor anything that could itself be protected.
/// The writer (the thread that calls copy_out) empties the capture area into the sink and, when that is empty, copies
/// chunks that are still held to a buffer, releases them, and puts the copy.
///
/// Where both meet on a chunk (the guest writes to one that the writer is just copying), the handler does not wait for
/// a thread that may have lost its CPU: it preserves the chunk too and releases it; the writer finds that it has been
/// overtaken and forgets its copy. So a fault never waits for anybody unless the area is full.
class CowCapture : public MemoryCapture {
 public:
  using MakeUserfault = std::function<std::unique_ptr<Userfault>()>;

  explicit CowCapture(GuestMemory& memory, MakeUserfault make_userfault = std::make_unique<Userfault>);
  ~CowCapture() override;

  void prepare(std::uint64_t area_bytes, const Cancellation& cancellation) override;
  void protect() override;
  bool copies_while_paused() const noexcept override { return false; }
  void copy_out(PageSink& sink) override;
  bool guest_waits() const noexcept override { return area_->full(); }
  void release() noexcept override;
  MemoryReport report() const override { return report_; }

 private:
  /// Of a chunk, in this order; kCopying may be skipped, and ends in either of the two below it.
  enum class State : std::uint8_t {
    kHeld,        ///< protected, untouched since the instant
    kPreserving,  ///< the handler is copying it to the area
    kCopying,     ///< the writer is copying it to its buffer, still protected
    kPreserved,   ///< its old contents are in the area, the guest has it back
    kDone,        ///< nothing more to preserve: in the writer's hands, or never present
  };

  // The handler's thread.
  void handle_faults() noexcept;
  void handle_fault(std::size_t chunk) noexcept;
  bool preserve(std::size_t chunk, bool may_wait) noexcept;
  void read_ahead(std::size_t chunk) noexcept;
  void give_back_to_guest(std::size_t chunk) noexcept;

  // The writer's thread.
  void make_area(std::uint64_t asked);
  void begin_anew();
  bool put_preserved(PageSink& sink);
  bool put_held(PageSink& sink);
  void wait_for_work();
  void pass_over_absent_chunks(PageSink& sink);
  void throw_if_handler_failed() const;

  bool change(std::size_t chunk, State from, State to) noexcept {
    return states_[chunk].compare_exchange_strong(from, to);
  }
  void finished(PageSink& sink, std::size_t chunk) {
    pages_done_ += chunks_[chunk].pages;
    sink.done(chunks_[chunk].pages);
  }

  GuestMemory& memory_;
  ChunkTable chunks_;
  Residency residency_;
  MakeUserfault make_userfault_;
  std::unique_ptr<std::atomic<State>[]> states_;
  std::shared_ptr<CaptureArea> area_;  ///< shared with a destination that has been given a slot
  CopyBuffer buffer_;                  ///< the writer's
  std::unique_ptr<Userfault> userfault_;
  EventFd stop_;
  std::thread handler_;
  /// Set when residency_ is whole. The kernel orders it before any fault; this says so in words of the language.
  std::atomic<bool> picture_taken_ = false;
  std::atomic<bool> releasing_ = false;  ///< set by release(): the handler stops preserving
  std::atomic<bool> handler_failed_ = false;
  FaultLog faults_;  ///< the handler's, until it has been joined
  std::mutex work_mutex_;
  std::condition_variable work_;  ///< the area has something for the writer
  std::size_t next_held_ = 0;     ///< where the writer goes on; the writer's
  std::uint64_t pages_done_ = 0;  ///< the writer's
  MemoryReport report_;
};

}  // namespace tintype
