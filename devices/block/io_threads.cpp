// SPDX-License-Identifier: Apache-2.0
#include "devices/block/io_threads.h"

#include <utility>

#include "vmm/base/thread.h"

namespace tintype {
namespace {

constexpr int kThreads = 4;

}  // namespace

void IoThreads::List::push(HostIo& io) noexcept {
  io.next = nullptr;
  (last == nullptr ? first : last->next) = &io;
  last = &io;
}

HostIo* IoThreads::List::pop() noexcept {
  HostIo* const io = first;
  if (io == nullptr) return nullptr;
  first = io->next;
  if (first == nullptr) last = nullptr;
  return io;
}

IoThreads::IoThreads() {
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { work(); });
}

IoThreads::~IoThreads() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_waits_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void IoThreads::queue(HostIo& io) noexcept {
  const std::lock_guard lock(mutex_);
  todo_.push(io);
}

void IoThreads::kick() noexcept { work_waits_.notify_all(); }

bool IoThreads::has_finished() noexcept {
  const std::lock_guard lock(mutex_);
  return finished_.first != nullptr;
}

HostIo* IoThreads::reap() noexcept {
  const std::lock_guard lock(mutex_);
  return finished_.pop();
}

void IoThreads::ring_bell_after(std::chrono::milliseconds time) noexcept {
  {
    const std::lock_guard lock(mutex_);
    ring_at_ = std::chrono::steady_clock::now() + time;
  }
  work_waits_.notify_all();
}

/// Waits for work, and rings the bell meanwhile if it is time.
void IoThreads::wait_for_work(std::unique_lock<std::mutex>& lock) noexcept {
  const auto has_work = [this] { return stopping_ || todo_.first != nullptr; };
  while (!has_work()) {
    if (!ring_at_) {
      work_waits_.wait(lock);
    } else if (work_waits_.wait_until(lock, *ring_at_) == std::cv_status::timeout && ring_at_) {
      ring_at_.reset();
      bell_.signal();
    }
  }
}

void IoThreads::work() noexcept {
  name_this_thread("disk-io");
  block_signals_in_this_thread();
  std::unique_lock lock(mutex_);
  for (;;) {
    wait_for_work(lock);
    HostIo* const io = todo_.pop();
    if (io == nullptr) return;
    lock.unlock();
    while (!io->settle(io->perform())) {
    }
    lock.lock();
    finished_.push(*io);
    bell_.signal();
  }
}

}  // namespace tintype
