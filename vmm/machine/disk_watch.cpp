// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/disk_watch.h"

#include <utility>

#include "vmm/base/thread.h"

namespace tintype {

DiskWatch::DiskWatch(std::function<void()> on_trouble)
    : on_trouble_(std::move(on_trouble)), thread_([this] { run(); }) {}

void DiskWatch::ring() noexcept {
  const std::lock_guard lock(mutex_);
  rung_ = true;
  changed_.notify_all();
}

void DiskWatch::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void DiskWatch::run() noexcept {
  name_this_thread("disk-watch");
  block_signals_in_this_thread();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (std::exchange(rung_, false)) {
      lock.unlock();
      on_trouble_();
      lock.lock();
    } else {
      changed_.wait(lock);
    }
  }
}

}  // namespace tintype
