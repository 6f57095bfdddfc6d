// SPDX-License-Identifier: Apache-2.0
// A machine that another one may run: it stands still, whatever its user says.
#include "vmm/base/log.h"
#include "vmm/machine/lifecycle.h"

namespace tintype {
namespace {

auto is_of(const void* who) {
  return [who](const auto& reason) { return reason.first == who; };
}

}  // namespace

void Lifecycle::stand_still_for(const void* who, const std::string& why) {
  const std::lock_guard pause_lock(pause_mutex_);
  {
    const std::lock_guard lock(state_mutex_);
    const bool held = is_held();
    std::erase_if(stands_still_, is_of(who));
    stands_still_.emplace_back(who, why);
    if (held || !started_ || end_ || stalls_) return;
  }
  park();
  say_that_it_stands_still(why);
}

void Lifecycle::say_that_it_stands_still(const std::string& why) {
  announce(EventKind::kPaused, why);
  log_note("the machine {} stands still: {}", config().name, why);
}

void Lifecycle::go_on_for(const void* who) {
  const std::lock_guard pause_lock(pause_mutex_);
  {
    const std::lock_guard lock(state_mutex_);
    if (std::erase_if(stands_still_, is_of(who)) == 0 || is_held() || stalls_ || !started_) return;
  }
  guest_.processors().announce_pause();
  announce(EventKind::kContinued);
  guest_.processors().resume();
  log_note("the machine {} goes on", config().name);
}

void Lifecycle::accompany(std::shared_ptr<void> companion) {
  const std::lock_guard lock(state_mutex_);
  companions_.push_back(std::move(companion));
}

}  // namespace tintype
