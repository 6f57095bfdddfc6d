// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <mutex>

namespace tintype {

/// The lock of a device with a thread of its own. Held for one batch of work or one register access, never
/// while waiting for host I/O, so that whoever freezes the device waits for microseconds.
///
/// Whoever freezes goes first: a busy I/O thread would otherwise take a plain mutex again before anyone else
/// woke up.
class DeviceLock {
 public:
  /// For a batch of work, or for a register access. Waits while the device is frozen.
  [[nodiscard]] std::unique_lock<std::mutex> work() noexcept {
    frozen_.wait(true, std::memory_order_acquire);
    return std::unique_lock(mutex_);
  }

  /// From freeze() to thaw() nobody else holds the lock. Both are called by one thread.
  void freeze() noexcept {
    frozen_.store(true, std::memory_order_release);
    mutex_.lock();
  }
  void thaw() noexcept {
    frozen_.store(false, std::memory_order_release);
    mutex_.unlock();
    frozen_.notify_all();
  }

  /// Asked in the middle of a batch: somebody waits to freeze the device, so end it here.
  bool wanted() const noexcept { return frozen_.load(std::memory_order_relaxed); }

 private:
  std::mutex mutex_;
  std::atomic<bool> frozen_ = false;
};

}  // namespace tintype
