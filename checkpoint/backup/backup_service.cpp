// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/backup_service.h"

#include <algorithm>

#include "checkpoint/store/checkpoint_store.h"
#include "vmm/base/error.h"

namespace tintype {

namespace {

/// "/backups/" is the same place.
std::string without_slash_at_end(std::string place) {
  while (place.size() > 1 && place.ends_with('/')) place.pop_back();
  return place;
}

}  // namespace

std::string BackupService::start(BackupPlan plan) {
  plan.to = without_slash_at_end(plan.to);
  check_plan(plan);
  check_place(plan.to);
  auto place = means_.make_place(plan);
  std::string lost = lost_by(plan);
  end(plan.to, &BackupJob::ask_to_end);
  auto job = std::make_unique<BackupJob>(plan, std::move(place), desk_, means_.run_tintype, means_.warn);
  const std::lock_guard lock(mutex_);
  jobs_.push_back(std::move(job));
  return lost;
}

std::string BackupService::lost_by(const BackupPlan& plan) const {
  const std::lock_guard lock(mutex_);
  const auto same_place = [&](const auto& job) { return job->plan().to == plan.to; };
  const auto before = std::ranges::find_if(jobs_, same_place);
  return before == jobs_.end() ? "" : no_longer((*before)->plan(), plan);
}

void BackupService::check_place(const std::string& place) const {
  if (is_standby(place)) return;
  check_store_place(place);
  const std::lock_guard lock(mutex_);
  for (const auto& job : jobs_) {
    const std::string& other = job->plan().to;
    if (other == place || is_standby(other)) continue;
    if (store_would_hold(other, place) || store_would_hold(place, other))
      throw Error("{} and {}, where backups of this machine go already, lie in one another: name a place apart from it",
                  place, other);
  }
}

std::size_t BackupService::stop(const std::string& place) {
  return end(without_slash_at_end(place), &BackupJob::ask_to_end_for_good);
}

// They are waited for without the lock: status() must answer meanwhile.
std::size_t BackupService::end(const std::string& place, Ask ask) {
  std::vector<std::unique_ptr<BackupJob>> ending;
  {
    const std::lock_guard lock(mutex_);
    const auto stays = [&](const auto& job) { return !place.empty() && job->plan().to != place; };
    const auto first = std::stable_partition(jobs_.begin(), jobs_.end(), stays);
    std::move(first, jobs_.end(), std::back_inserter(ending));
    jobs_.erase(first, jobs_.end());
  }
  for (const auto& job : ending) ((*job).*ask)();
  return ending.size();
}

std::vector<BackupStatus> BackupService::status() const {
  const std::lock_guard lock(mutex_);
  std::vector<BackupStatus> all;
  for (const auto& job : jobs_) all.push_back(job->status());
  return all;
}

}  // namespace tintype
