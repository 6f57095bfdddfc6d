// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/plan.h"

#include "checkpoint/s3/location.h"
#include "vmm/base/amounts.h"
#include "vmm/base/error.h"

namespace tintype {

bool is_standby(const std::string& place) { return place.starts_with("tcp://"); }

void check_plan(const BackupPlan& plan) {
  if (plan.to.empty()) throw UsageError("say where the backups go: --to REPO (the parameter \"to\")");
  if (plan.every_ms == 0) throw UsageError("say how often: --every TIME (the parameter \"every_ms\"), at least 1ms");
  if (!plan.to.starts_with('/') && !S3Location::is_meant_by(plan.to) && !is_standby(plan.to))
    throw UsageError("backups cannot go to \"{}\": give a directory, s3://BUCKET/PREFIX or tcp://HOST:PORT", plan.to);
  if (is_standby(plan.to)) {
    if (plan.key.empty()) throw UsageError("a standby wants the key that it shares: give --key FILE");
    if (plan.keep || plan.verify_ms != 0 || plan.drill_ms != 0)
      throw UsageError("what a standby keeps and looks after is its own: leave out --keep, --verify and --drill");
  } else if (!plan.key.empty() || !plan.witness.empty()) {
    throw UsageError("--key and --witness go with a standby: --to tcp://HOST:PORT");
  }
}

std::string no_longer(const BackupPlan& before, const BackupPlan& now) {
  std::string text;
  const auto say = [&](const std::string& option) { text += (text.empty() ? "" : ", ") + option; };
  if (before.keep && !now.keep) say("--keep " + text_of(*before.keep));
  if (before.verify_ms != 0 && now.verify_ms == 0) say("--verify " + format_period(before.verify_ms));
  if (before.drill_ms != 0 && now.drill_ms == 0) say("--drill " + format_period(before.drill_ms));
  return text;
}

}  // namespace tintype
