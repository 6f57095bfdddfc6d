// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/quiet_timer.h"

#include <exception>

#include "vmm/base/thread.h"

namespace tintype {

QuietTimer::~QuietTimer() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void QuietTimer::start() noexcept {
  const std::lock_guard lock(mutex_);
  const bool sleeps = !due_;
  due_ = std::chrono::steady_clock::now() + quiet_;
  if (thread_.joinable()) {
    if (sleeps) changed_.notify_one();
    return;
  }
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::exception&) {
    due_.reset();
    then_();
  }
}

void QuietTimer::stop() noexcept {
  const std::lock_guard lock(mutex_);
  due_.reset();
}

void QuietTimer::run() noexcept {
  name_this_thread("quiet");
  block_signals_in_this_thread();
  std::unique_lock lock(mutex_);
  while (!ending_) {
    if (!due_) {
      changed_.wait(lock);
    } else if (const auto due = *due_; std::chrono::steady_clock::now() < due) {
      changed_.wait_until(lock, due);
    } else {
      due_.reset();
      then_();
    }
  }
}

}  // namespace tintype
