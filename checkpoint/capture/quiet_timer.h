// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace tintype {

/// Does something once it has been quiet for some time. There is no thread before the first start().
class QuietTimer {
 public:
  QuietTimer(std::chrono::milliseconds quiet, std::function<void()> then) : quiet_(quiet), then_(std::move(then)) {}
  /// Without it, if it was not yet time.
  ~QuietTimer();
  QuietTimer(const QuietTimer&) = delete;
  QuietTimer& operator=(const QuietTimer&) = delete;

  /// It is quiet from now on. (Where there can be no thread, it is done at once.)
  void start() noexcept;
  /// It is not. Returns when nothing is being done, and nothing will be before the next start().
  void stop() noexcept;

 private:
  void run() noexcept;

  const std::chrono::milliseconds quiet_;
  const std::function<void()> then_;
  std::mutex mutex_;  // guards all below, and is held while it is done
  std::condition_variable changed_;
  std::optional<std::chrono::steady_clock::time_point> due_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace tintype
