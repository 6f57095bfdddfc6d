// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace tintype {

/// A thread for what a vCPU's thread asks for and cannot do itself, such as to pause the machine that it is part of.
/// There is none until it is needed.
class ErrandThread {
 public:
  ErrandThread() = default;
  ~ErrandThread() { finish(); }
  ErrandThread(const ErrandThread&) = delete;
  ErrandThread& operator=(const ErrandThread&) = delete;

  /// Has it done soon. What it throws goes to the log. Any thread.
  void post(std::function<void()> errand);
  /// Waits until all are done; no more are taken.
  void finish() noexcept;

 private:
  void run() noexcept;

  std::mutex mutex_;  ///< guards all below
  std::condition_variable changed_;
  std::deque<std::function<void()>> errands_;
  bool finishing_ = false;
  std::thread thread_;
};

}  // namespace tintype
