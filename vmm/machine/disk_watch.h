// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace tintype {

/// Does something, on a thread of its own, when a disk cannot go on: the disk's own thread must not wait for vCPUs,
/// which may wait for it.
class DiskWatch {
 public:
  explicit DiskWatch(std::function<void()> on_trouble);
  ~DiskWatch() { stop(); }
  DiskWatch(const DiskWatch&) = delete;
  DiskWatch& operator=(const DiskWatch&) = delete;

  /// A disk has stopped. Any thread; waits for nothing.
  void ring() noexcept;
  /// Waits for what is being done, and does no more.
  void stop() noexcept;

 private:
  void run() noexcept;

  const std::function<void()> on_trouble_;
  std::mutex mutex_;  ///< guards the flags
  std::condition_variable changed_;
  bool rung_ = false, stopping_ = false;
  std::thread thread_;  ///< last, since it uses all of the above
};

}  // namespace tintype
