// SPDX-License-Identifier: Apache-2.0
// Backups of a machine: its checkpoints on a schedule, and where they go.
#include "checkpoint/backup/run_tintype.h"
#include "checkpoint/standby/key_file.h"
#include "checkpoint/standby/standby_place.h"
#include "checkpoint/standby/witness.h"
#include "vmm/machine/lifecycle.h"

namespace tintype {

BackupMeans Lifecycle::backup_means() {
  return {[this](const std::filesystem::path& repository) { return back_up(repository); },
          [this](const BackupPlan& plan) { return backup_place(plan); }, run_tintype};
}

CheckpointReport Lifecycle::back_up(const std::filesystem::path& repository) {
  CheckpointOptions options;
  options.repository = repository;
  options.find_parent = true;
  return take_checkpoint(options, {}, Patience::kWait);
}

// A machine that may run elsewhere must have the right to run here before it does.
std::unique_ptr<BackupPlace> Lifecycle::backup_place(const BackupPlan& plan) {
  if (!is_standby(plan.to)) return make_directory_place(plan.to, config().name);
  const TcpAddress address = parse_tcp_address(plan.to.substr(plan.to.find("://") + 3), "--to");
  StandbyLink link{address, read_key_file(plan.key), config().name, spool_directory(config().name, address),
                   [this](const std::string& why) { stand_still(why); }};
  if (!plan.witness.empty()) {
    auto lease = std::make_shared<LeaseKeeper>(plan.witness, config().name);
    lease->guard({[this](const std::string& why) { stand_still(why); }, [this] { go_on(); }});
    accompany(lease);
  }
  return make_standby_place(std::move(link));
}

}  // namespace tintype
