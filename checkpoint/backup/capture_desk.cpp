// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/capture_desk.h"

#include "vmm/base/log.h"

namespace tintype {

CaptureDesk::Captured CaptureDesk::capture_for(const std::filesystem::path& repository,
                                               std::chrono::milliseconds every) {
  const std::lock_guard lock(mutex_);
  const bool leads = !latest_ || latest_->captured.repository == repository || every < latest_->every;
  if (leads) return take(repository, every);
  if (Clock::now() - latest_->at < every / 2) return latest_->captured;
  try {
    require_(latest_->captured.repository);  // that its device is gone only its own backup would notice
    return take(latest_->captured.repository, latest_->every);
  } catch (const std::exception& error) {  // that place is in trouble, as its own backup will say
    log_note("a backup is taken to {} instead: {}", repository.string(), error.what());
  }
  return take(repository, every);
}

const CaptureDesk::Captured& CaptureDesk::take(const std::filesystem::path& repository,
                                               std::chrono::milliseconds every) {
  CheckpointReport report = take_(repository);
  latest_ = Latest{{repository, std::move(report)}, every, Clock::now()};
  return latest_->captured;
}

// The next one is taken for whoever asks first.
void CaptureDesk::leave(const std::filesystem::path& repository) {
  const std::lock_guard lock(mutex_);
  if (latest_ && latest_->captured.repository == repository) latest_.reset();
}

}  // namespace tintype
