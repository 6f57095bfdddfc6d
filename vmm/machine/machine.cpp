// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/machine.h"

#include "vmm/machine/describe.h"
#include "vmm/machine/lifecycle.h"
#include "vmm/machine/restored_disks.h"

namespace tintype {

std::unique_ptr<Machine> boot_machine(const MachineConfig& config) {
  auto machine = std::make_unique<Lifecycle>(config, FileStart::kTruncate, 0);
  machine->guest().load_kernel();
  return machine;
}

// Everything is checked before anything is made, but for the disks' images, which are removed again where something
// fails later.
std::unique_ptr<Machine> restore_machine(const RestoreOptions& options, const ProgressSink& progress) {
  const CheckpointReader checkpoint(options.repository, options.id == 0 ? std::nullopt : std::optional(options.id));
  MachineConfig config = config_from(checkpoint.manifest().machine);
  config.name = options.name.empty() ? checkpoint.manifest().vm : options.name;
  config.disk_directory = options.disk_directory;
  config.serial = options.serial;
  config.trace = options.trace;
  RestoredDisks disks(checkpoint, config.name, options.disk_directory, config, progress);
  auto machine = std::make_unique<Lifecycle>(config, FileStart::kAppend, checkpoint.manifest().id);
  machine->guest().restore(checkpoint, progress);
  disks.keep();
  return machine;
}

}  // namespace tintype
