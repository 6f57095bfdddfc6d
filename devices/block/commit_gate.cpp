// SPDX-License-Identifier: Apache-2.0
#include "devices/block/commit_gate.h"

#include <chrono>

#include "vmm/base/error.h"

namespace tintype {
namespace {

constexpr auto kStepLimit = std::chrono::seconds(60);

}  // namespace

bool CommitGate::begin_step() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopping_ || (wanted_ != satisfied_ && holds_ == 0); });
  wanted_seen_ = wanted_;
  stepping_ = !stopping_;
  return stepping_;
}

void CommitGate::end_step(bool finished) noexcept {
  {
    const std::lock_guard lock(mutex_);
    stepping_ = false;
    if (finished) satisfied_ = wanted_seen_;
  }
  changed_.notify_all();
}

void CommitGate::want() noexcept {
  {
    const std::lock_guard lock(mutex_);
    ++wanted_;
  }
  changed_.notify_all();
}

bool CommitGate::is_held() const noexcept {
  const std::lock_guard lock(mutex_);
  return holds_ != 0;
}

void CommitGate::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
}

CommitHold::CommitHold(std::shared_ptr<CommitGate> gate) : gate_(std::move(gate)) {
  std::unique_lock lock(gate_->mutex_);
  ++gate_->holds_;
  if (gate_->changed_.wait_for(lock, kStepLimit, [this] { return !gate_->stepping_; })) return;
  --gate_->holds_;
  throw Error("the disk is too slow: a step of committing its redo log takes longer than {} s; try again later",
              kStepLimit.count());
}

CommitHold::~CommitHold() {
  {
    const std::lock_guard lock(gate_->mutex_);
    --gate_->holds_;
  }
  gate_->changed_.notify_all();
}

}  // namespace tintype
