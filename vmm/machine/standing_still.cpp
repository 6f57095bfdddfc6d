// SPDX-License-Identifier: Apache-2.0
// A machine that another one may run: it stands still, whatever its user says.
#include "vmm/base/log.h"
#include "vmm/machine/lifecycle.h"

namespace tintype {

void Lifecycle::stand_still(const std::string& why) {
  const std::lock_guard pause_lock(pause_mutex_);
  {
    const std::lock_guard lock(state_mutex_);
    const bool held = is_held();
    stands_still_ = why;
    if (held || !started_ || end_ || stalls_) return;
  }
  park();
  log_note("the machine {} stands still: {}", config().name, why);
}

void Lifecycle::go_on() {
  const std::lock_guard pause_lock(pause_mutex_);
  {
    const std::lock_guard lock(state_mutex_);
    if (std::exchange(stands_still_, {}).empty() || is_held() || stalls_ || !started_) return;
  }
  guest_.processors().announce_pause();
  guest_.processors().resume();
  log_note("the machine {} goes on", config().name);
}

void Lifecycle::accompany(std::shared_ptr<void> companion) {
  const std::lock_guard lock(state_mutex_);
  companions_.push_back(std::move(companion));
}

}  // namespace tintype
