// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <liburing.h>

#include <atomic>
#include <mutex>

#include "devices/block/io_engine.h"
#include "vmm/base/event_fd.h"

namespace tintype {

/// Host I/O through io_uring. Buffers are not registered with the kernel: pinned pages would escape the write
/// protection of guest memory.
///
/// Two locks, because io_uring_enter() may copy to guest memory on the spot, and so wait for a page fault to
/// be handled: whoever only wants to queue or to reap must not wait behind it.
class IoRing final : public IoEngine {
 public:
  IoRing();  ///< throws std::system_error where the kernel does not permit io_uring
  ~IoRing() override;
  IoRing(const IoRing&) = delete;
  IoRing& operator=(const IoRing&) = delete;

  const char* name() const noexcept override { return "io_uring"; }
  void queue(HostIo& io) noexcept override;
  void kick() noexcept override { submit(take_queue()); }
  void kick_writes() noexcept override { submit(take_queued_writes()); }
  HostIo* reap() noexcept override;
  bool has_finished() noexcept override;
  int completion_fd() const noexcept override { return bell_.fd(); }
  void acknowledge() noexcept override { bell_.take(); }
  void ring_bell() noexcept override { bell_.signal(); }
  void ring_bell_after(std::chrono::milliseconds time) noexcept override;

 private:
  void queue_locked(HostIo& io) noexcept;
  HostIo* take_queue() noexcept;
  HostIo* take_queued_writes() noexcept;
  void submit(HostIo* list) noexcept;
  io_uring_sqe& take_entry() noexcept;
  void prepare(HostIo& io) noexcept;
  void enter() noexcept;
  HostIo* take_completion() noexcept;
  void set_aside_completions() noexcept;

  EventFd bell_;
  io_uring ring_{};

  /// A transfer goes from the thread that submits to the one that reaps by way of the kernel, which orders the two;
  /// this says so in words of the language (and to ThreadSanitizer, which does not see the kernel's).
  std::atomic<std::uint64_t> handed_over_ = 0;
  std::mutex queue_mutex_;  ///< guards the list of what has not been handed to the ring
  HostIo* queue_first_ = nullptr;
  HostIo* queue_last_ = nullptr;

  std::mutex submit_mutex_;  ///< guards the ring's submission side
  std::mutex reap_mutex_;    ///< guards the ring's completion side, and what was taken out of it early
  HostIo* aside_first_ = nullptr;
  HostIo* aside_last_ = nullptr;
};

}  // namespace tintype
