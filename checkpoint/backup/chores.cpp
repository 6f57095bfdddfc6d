// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/chores.h"

#include <fmt/format.h>

#include "checkpoint/format/manifest.h"
#include "vmm/base/thread.h"

namespace tintype {

Chore::~Chore() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void Chore::begin_if_due() {
  if (every_.count() != 0 && Clock::now() >= due_) begin();
}

void Chore::begin() {
  if (busy_) return;
  if (thread_.joinable()) thread_.join();
  due_ = Clock::now() + every_;
  busy_ = true;
  thread_ = std::thread([this] { work(); });
}

std::string Chore::outcome() const {
  const std::lock_guard lock(mutex_);
  return outcome_;
}

void Chore::work() noexcept {
  name_this_thread("backup-chore");
  block_signals_in_this_thread();
  const ScopedPatience patience;
  std::string said;
  try {
    said = run_(arguments_, stop_);
  } catch (const std::exception& error) {
    said = error.what();
  }
  {
    const std::lock_guard lock(mutex_);
    outcome_ = utc_time_text() + ": " + said;
  }
  if (said != kGood && !stop_) {
    has_found_something_ = true;
    warn_(fmt::format("{} {}: {}", arguments_[0], arguments_[1], said));
  }
  busy_ = false;
}

}  // namespace tintype
