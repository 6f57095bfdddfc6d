// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <deque>
#include <future>
#include <mutex>
#include <thread>

#include "devices/block/io_engine.h"
#include "vmm/base/event_fd.h"

namespace tintype {

/// What the engines of tests share: what is queued, what has finished, and the bell that says so.
class BellEngine : public IoEngine {
 public:
  void queue(HostIo& io) noexcept final {
    const std::lock_guard lock(mutex_);
    queued_.push_back(&io);
  }
  HostIo* reap() noexcept final {
    const std::lock_guard lock(mutex_);
    if (finished_.empty()) return nullptr;
    HostIo* const io = finished_.front();
    finished_.pop_front();
    return io;
  }
  int completion_fd() const noexcept final { return bell_.fd(); }
  void acknowledge() noexcept final { bell_.take(); }
  void ring_bell() noexcept final { bell_.signal(); }
  void ring_bell_after(std::chrono::milliseconds time) noexcept final {
    late_ = std::async(std::launch::async, [this, time] {
      std::this_thread::sleep_for(time);
      bell_.signal();
    });
  }

 protected:
  /// With mutex_ held.
  void tell_finished(HostIo& io) {
    finished_.push_back(&io);
    bell_.signal();
  }

  mutable std::mutex mutex_;  ///< guards the lists, and those of whoever derives
  std::deque<HostIo*> queued_;

 private:
  std::deque<HostIo*> finished_;
  EventFd bell_;
  std::future<void> late_;  ///< goes first: it rings the bell
};

}  // namespace tintype
