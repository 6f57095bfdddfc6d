// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/worker_pool.h"

#include <system_error>

#include "vmm/base/thread.h"

namespace tintype {

bool WorkerPool::submit(std::function<void()> job) {
  const std::lock_guard lock(mutex_);
  if (finishing_ || jobs_.size() >= most_waiting_) return false;
  const bool all_busy = idle_ <= jobs_.size();
  if (all_busy && threads_.size() < most_threads_ && !start_thread() && threads_.empty()) return false;
  jobs_.push_back(std::move(job));
  wake_.notify_one();
  return true;
}

bool WorkerPool::start_thread() {
  try {
    threads_.emplace_back([this] { work(); });
    return true;
  } catch (const std::system_error&) {  // the host has no thread left for us
    return false;
  }
}

void WorkerPool::work() {
  name_this_thread("control-call");
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    wake_.wait(lock, [this] { return finishing_ || !jobs_.empty(); });
    --idle_;
    if (jobs_.empty()) return;
    const auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    lock.lock();
  }
}

void WorkerPool::finish() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
    threads.swap(threads_);
  }
  wake_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace tintype
