// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/pause.h"

namespace tintype {

// A machine may end while somebody is about to pause it. A thread that parked then would be waited for, and never
// woken.
void PauseGate::close() noexcept {
  const std::lock_guard lock(mutex_);
  if (!let_go_) closed_.store(true, std::memory_order_seq_cst);
  changed_.notify_all();  // who waits for it
}

void PauseGate::wait_until_parked() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return all_in() || stalls_; });
}

void PauseGate::stall(bool stalls) noexcept {
  const std::lock_guard lock(mutex_);
  stalls_ = stalls;
  if (stalls && !let_go_) closed_.store(true, std::memory_order_seq_cst);
  changed_.notify_all();
}

void PauseGate::open() {
  std::unique_lock lock(mutex_);
  closed_.store(false, std::memory_order_seq_cst);
  changed_.notify_all();
  changed_.wait(lock, [this] { return parked_ == 0 || closed(); });  // a stall may close it again
}

void PauseGate::let_go() noexcept {
  const std::lock_guard lock(mutex_);
  let_go_ = true;
  closed_.store(false, std::memory_order_seq_cst);
  changed_.notify_all();
}

void PauseGate::park() {
  std::unique_lock lock(mutex_);
  ++parked_;
  if (all_in()) changed_.notify_all();
  changed_.wait(lock, [this] { return !closed(); });
  --parked_;
  if (parked_ == 0) changed_.notify_all();
}

void PauseGate::wait_until_closed() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return closed() || let_go_; });
}

void PauseGate::leave_for_good() {
  const std::lock_guard lock(mutex_);
  ++gone_;
  changed_.notify_all();
}

}  // namespace tintype
