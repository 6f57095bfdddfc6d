// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/errand.h"

#include <exception>

#include "vmm/base/log.h"
#include "vmm/base/thread.h"

namespace tintype {

void ErrandThread::post(std::function<void()> errand) {
  const std::lock_guard lock(mutex_);
  if (finishing_) return;
  errands_.push_back(std::move(errand));
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  changed_.notify_all();
}

void ErrandThread::finish() noexcept {
  std::thread thread;
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
    thread.swap(thread_);
    changed_.notify_all();
  }
  if (thread.joinable()) thread.join();
}

void ErrandThread::run() noexcept {
  name_this_thread("errand");
  block_signals_in_this_thread();
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return finishing_ || !errands_.empty(); });
    if (errands_.empty()) return;
    const auto errand = std::move(errands_.front());
    errands_.pop_front();
    lock.unlock();
    try {
      errand();
    } catch (const std::exception& error) {
      log_note("{}", error.what());
    }
    lock.lock();
  }
}

}  // namespace tintype
