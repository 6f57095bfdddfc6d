// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "checkpoint/capture/capture_area.h"
#include "checkpoint/capture/chunk_writer.h"
#include "checkpoint/capture/chunks.h"
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
/// The writer (the thread that calls copy_out) empties the capture area to the destination and, when that is empty,
/// writes chunks that are still held straight from guest memory and releases them.
///
/// Where both meet on a chunk (the guest writes to one that the writer is just writing out), the handler does not wait:
/// it preserves the chunk too and releases it; the writer finds that it has been overtaken, takes back what it wrote,
/// and the preserved copy is written in its place. So a fault never waits for the destination unless the area is full.
class CowCapture : public MemoryCapture {
 public:
  CowCapture(GuestMemory& memory, std::uint64_t capture_area_bytes);
  ~CowCapture() override;

  void prepare() override;
  void protect() override;
  bool copies_while_paused() const noexcept override { return false; }
  void copy_out(PartWriter& part, const ProgressSink& progress) override;
  void release() noexcept override;
  MemoryReport report() const override { return report_; }

 private:
  /// Of a chunk, in this order; kWriting may be skipped, and ends in either of the two below it.
  enum class State : std::uint8_t {
    kHeld,        ///< protected, untouched since the instant
    kPreserving,  ///< the handler is copying it to the area
    kWriting,     ///< the writer is writing it out from guest memory, still protected
    kPreserved,   ///< its old contents are in the area, the guest has it back
    kDone,        ///< nothing more to do: written out, or never present
  };

  // The handler's thread.
  void handle_faults() noexcept;
  void handle_fault(std::size_t chunk) noexcept;
  bool preserve(std::size_t chunk, bool may_wait) noexcept;
  void read_ahead(std::size_t chunk) noexcept;
  void copy_resident(const Chunk& chunk, std::span<std::byte> into) const noexcept;
  void give_back_to_guest(std::size_t chunk) noexcept;

  // The writer's thread.
  bool write_preserved(ChunkWriter& writer);
  bool write_held(ChunkWriter& writer);
  void wait_for_work();
  void mark_absent_chunks();
  void throw_if_handler_failed() const;

  bool change(std::size_t chunk, State from, State to) noexcept {
    return states_[chunk].compare_exchange_strong(from, to);
  }
  void finished(std::uint64_t pages) noexcept { pages_done_ += pages; }

  GuestMemory& memory_;
  ChunkTable chunks_;
  Residency residency_;
  std::uint64_t area_bytes_;
  std::unique_ptr<std::atomic<State>[]> states_;
  std::unique_ptr<CaptureArea> area_;
  std::unique_ptr<Userfault> userfault_;
  EventFd stop_;
  std::thread handler_;
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
