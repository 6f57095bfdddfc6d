// SPDX-License-Identifier: Apache-2.0
// A machine in a debugger, which is one more that may hold it.
#include "vmm/base/error.h"
#include "vmm/machine/lifecycle.h"

namespace tintype {

void Lifecycle::park() {
  guest_.processors().pause();
  debugger_->withdraw();
}

Debugger::Means Lifecycle::debugger_means() {
  return {[this](const std::function<void()>& then) { hold_for_debugger(then); },
          [this](const std::function<void()>& then) { release_by_debugger(then); }};
}

// A checkpoint's pause is waited for.
void Lifecycle::hold_for_debugger(const std::function<void()>& then) {
  const std::lock_guard pause_lock(pause_mutex_);
  if (stalls()) throw Error("{} stands still because its memory cannot be read", config().name);
  if (started_) park();
  then();
}

void Lifecycle::release_by_debugger(const std::function<void()>& then) {
  const std::lock_guard pause_lock(pause_mutex_);
  then();
  if (is_held() || stalls() || !started_ || has_ended()) return;
  guest_.processors().announce_pause();
  guest_.processors().resume();
}

}  // namespace tintype
