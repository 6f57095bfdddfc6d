// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "devices/block/io_engine.h"
#include "vmm/base/event_fd.h"

namespace tintype {

/// Host I/O by a few threads that call preadv, pwritev and fdatasync: for hosts that do not permit io_uring.
class IoThreads final : public IoEngine {
 public:
  IoThreads();
  ~IoThreads() override;  ///< does what was kicked first
  IoThreads(const IoThreads&) = delete;
  IoThreads& operator=(const IoThreads&) = delete;

  const char* name() const noexcept override { return "threads"; }
  void queue(HostIo& io) noexcept override;
  void kick() noexcept override;
  void kick_writes() noexcept override { kick(); }  // all is done by threads that nobody waits for
  HostIo* reap() noexcept override;
  bool has_finished() noexcept override;
  int completion_fd() const noexcept override { return bell_.fd(); }
  void acknowledge() noexcept override { bell_.take(); }
  void ring_bell() noexcept override { bell_.signal(); }
  void ring_bell_after(std::chrono::milliseconds time) noexcept override;

 private:
  /// First in, first out, linked through HostIo::next.
  struct List {
    HostIo* first = nullptr;
    HostIo* last = nullptr;
    void push(HostIo& io) noexcept;
    HostIo* pop() noexcept;
  };

  void wait_for_work(std::unique_lock<std::mutex>& lock) noexcept;
  void work() noexcept;

  EventFd bell_;
  std::mutex mutex_;  ///< guards everything below
  std::condition_variable work_waits_;
  List todo_;
  List finished_;
  std::optional<std::chrono::steady_clock::time_point> ring_at_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace tintype
