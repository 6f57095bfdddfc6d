// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tintype {

/// Threads that are started when there is work and none is idle, up to `most`; so a machine that nobody talks to has
/// none. Jobs must not throw.
class WorkerPool {
 public:
  WorkerPool(std::size_t most_threads, std::size_t most_waiting)
      : most_threads_(most_threads), most_waiting_(most_waiting) {}
  ~WorkerPool() { finish(); }

  /// False where too many jobs wait already, or no thread can be had.
  [[nodiscard]] bool submit(std::function<void()> job);
  /// Runs what was submitted to its end and joins the threads. Nothing can be submitted afterwards.
  void finish();

 private:
  bool start_thread();
  void work();

  const std::size_t most_threads_;
  const std::size_t most_waiting_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool finishing_ = false;
};

}  // namespace tintype
