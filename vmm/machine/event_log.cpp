// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/event_log.h"

#include <algorithm>

#include "checkpoint/format/manifest.h"
#include "vmm/base/log.h"

namespace tintype {

void EventLog::post(MachineEvent event) noexcept {
  try {
    event.time = utc_time_text();
    event.uptime_ms = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - created_).count());
    const std::lock_guard lock(mutex_);
    event.number = ++latest_;
    events_.push_back(std::move(event));
    if (events_.size() > kKept) events_.pop_front();
  } catch (const std::exception& error) {  // out of memory: who follows sees that a number is missing
    log_note("an event is lost: {}", error.what());
  }
  bell_.ring();
}

void EventLog::post_progress(const Progress& progress) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    progress_ = {progress_.number + 1, progress};
  } catch (const std::bad_alloc&) {  // the next one will do
  }
  bell_.ring();
}

std::optional<MachineEvent> EventLog::next(std::uint64_t after) const {
  const std::lock_guard lock(mutex_);
  const auto found =
      std::upper_bound(events_.begin(), events_.end(), after,
                       [](std::uint64_t number, const MachineEvent& event) { return number < event.number; });
  return found == events_.end() ? std::nullopt : std::optional(*found);
}

std::uint64_t EventLog::latest() const noexcept {
  const std::lock_guard lock(mutex_);
  return latest_;
}

EventLog::LatestProgress EventLog::latest_progress() const {
  const std::lock_guard lock(mutex_);
  return progress_;
}

}  // namespace tintype
