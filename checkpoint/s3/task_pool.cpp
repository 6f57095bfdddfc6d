// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/s3/task_pool.h"

#include <utility>

#include "vmm/base/thread.h"

namespace tintype {
namespace {

constexpr unsigned kAtOnce = 8;

}  // namespace

void TaskPool::do_all(std::vector<Task> tasks) {
  if (tasks.size() == 1) return tasks.front()();
  TaskPool pool(kAtOnce);
  for (Task& task : tasks) pool.put(std::move(task));
  pool.wait();
}

void TaskPool::end() noexcept {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    queue_.clear();
    changed_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void TaskPool::put(Task task) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return failure_ || queue_.size() < threads_wanted_; });
  throw_failure();
  add(std::move(task));
}

bool TaskPool::try_put(Task task) {
  const std::lock_guard lock(mutex_);
  if (failure_ || queue_.size() >= threads_wanted_) return false;
  add(std::move(task));
  return true;
}

/// Under the lock.
void TaskPool::add(Task task) {
  queue_.push_back(std::move(task));
  if (queue_.size() + busy_ > threads_.size() && threads_.size() < threads_wanted_)
    threads_.emplace_back([this] { serve(); });
  changed_.notify_all();
}

void TaskPool::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return failure_ || (queue_.empty() && busy_ == 0); });
  throw_failure();
}

void TaskPool::throw_failure() const {
  if (failure_) std::rethrow_exception(failure_);
}

void TaskPool::serve() noexcept {
  name_this_thread("object-store");
  block_signals_in_this_thread();
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || !queue_.empty(); });
    if (ending_) return;
    Task task = std::move(queue_.front());
    queue_.pop_front();
    ++busy_;
    changed_.notify_all();
    lock.unlock();
    std::exception_ptr thrown;
    try {
      task();
    } catch (...) {
      thrown = std::current_exception();
    }
    task = nullptr;  // and what it owns
    lock.lock();
    --busy_;
    if (thrown && !failure_) failure_ = std::exchange(thrown, nullptr);
    if (failure_) queue_.clear();
    changed_.notify_all();
  }
}

}  // namespace tintype
