// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <mutex>

#include "vmm/base/event_fd.h"

namespace tintype {

/// Wakes the one who follows a log, once after each time that it said it had read all: whoever writes a byte at a time
/// makes no system call a byte. Any thread.
class NewsBell {
 public:
  /// What to ring; null: nothing any more.
  void hang(EventFd* bell) noexcept {
    const std::lock_guard lock(mutex_);
    bell_ = bell;
  }
  /// The follower is about to wait. It looks once more afterwards: what came before is not rung for.
  void arm() noexcept { armed_.store(true); }
  /// There is something new.
  void ring() noexcept {
    if (!armed_.load(std::memory_order_seq_cst) || !armed_.exchange(false)) return;
    const std::lock_guard lock(mutex_);
    if (bell_ != nullptr) bell_->signal();
  }

 private:
  std::atomic<bool> armed_ = false;
  std::mutex mutex_;
  EventFd* bell_ = nullptr;  ///< under mutex_
};

}  // namespace tintype
