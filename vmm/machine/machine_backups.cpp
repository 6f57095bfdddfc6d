// SPDX-License-Identifier: Apache-2.0
// Backups of a machine: its checkpoints on a schedule, and where they go.
#include "checkpoint/backup/run_tintype.h"
#include "checkpoint/standby/key_file.h"
#include "checkpoint/standby/standby_place.h"
#include "checkpoint/standby/witness.h"
#include "vmm/machine/lifecycle.h"

namespace tintype {

namespace {

constexpr std::chrono::milliseconds kPatienceWithWitness = std::chrono::seconds(5);

}  // namespace

BackupMeans Lifecycle::backup_means() {
  return {[this](const std::filesystem::path& repository) { return back_up(repository); },
          [this](const BackupPlan& plan) { return backup_place(plan); }, run_tintype, require_still_there,
          [this](const std::string& what) { announce(EventKind::kBackupFailed, what); }};
}

CheckpointReport Lifecycle::back_up(const std::filesystem::path& repository) {
  CheckpointOptions options;
  options.repository = repository;
  options.find_parent = true;
  return take_checkpoint(options, {}, Patience::kWait);
}

std::unique_ptr<BackupPlace> Lifecycle::backup_place(const BackupPlan& plan) {
  if (!is_standby(plan.to)) return make_repository_place(plan.to, config().name);
  const TcpAddress address = parse_tcp_address(plan.to.substr(plan.to.find("://") + 3), "--to");
  const auto key = read_key_file(plan.key);
  const std::string witness = witness_asked(plan.witness);
  return make_standby_place({address, key, config().name, spool_directory(config().name, address), witness,
                             [this](const std::string& why) { stand_still_for(&backups_, why); }});
}

// A machine that may run elsewhere must have the right to run here before it does. It has one for all of its plans, and
// until it ends, though its backups are stopped before that: who lets go of it and runs on has two run. Promoted under
// another name it has one for each name: that of the machine it was, and its own.
// `witness`: the one to ask; empty: the one that was asked before, if any. Returns which one it is.
std::string Lifecycle::witness_asked(const std::string& witness) {
  const std::lock_guard lock(rights_mutex_);
  for (const auto& right : rights_) {
    const auto had = right.lock();
    if (!had) continue;
    if (!witness.empty() && had->url() != witness)
      throw Error("{} has asked the witness {} for its right to run, and a machine has one witness: name that one",
                  config().name, had->url());
    if (had->machine() == config().name) return witness_identity_;
  }
  if (witness.empty()) return {};
  witness_identity_ = Witness(witness, config().name).identity(kPatienceWithWitness);
  keep_right(std::make_shared<LeaseKeeper>(witness, config().name, Witness::Taking::kToRun));
  return witness_identity_;
}

void Lifecycle::run_by(std::shared_ptr<LeaseKeeper> right) {
  const std::lock_guard lock(rights_mutex_);
  keep_right(std::move(right));
}

void Lifecycle::keep_right(std::shared_ptr<LeaseKeeper> right) {
  const LeaseKeeper* who = right.get();
  right->guard({[this, who](const std::string& why) { stand_still_for(who, why); }, [this, who] { go_on_for(who); }});
  rights_.push_back(right);
  accompany(std::move(right));
}

}  // namespace tintype
