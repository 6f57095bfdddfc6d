// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/machine.h"

#include "checkpoint/restore/disk_images.h"
#include "vmm/machine/describe.h"
#include "vmm/machine/lifecycle.h"

namespace tintype {

std::unique_ptr<Machine> boot_machine(const MachineConfig& config) {
  auto machine = std::make_unique<Lifecycle>(config, FileStart::kTruncate, 0);
  machine->guest().load_kernel();
  return machine;
}

// Everything is checked before anything is made, and what is made has no name before all of it is there. Each step says
// that it begins, so that whoever watches can end the restore between any two of them.
namespace {

bool loads_lazily(std::optional<MemoryLoad> wanted) {
  return wanted ? *wanted == MemoryLoad::kLazy : probe_userfault().missing_pages;
}

}  // namespace

std::unique_ptr<Machine> restore_machine(const RestoreOptions& options, const ProgressSink& progress) {
  const ProgressSink tell = progress ? progress : [](const Progress&) {};
  const auto checkpoint = std::make_shared<const CheckpointReader>(
      options.repository, options.id == 0 ? std::nullopt : std::optional(options.id));
  checkpoint->require(Portion::kAll);
  MachineConfig config = config_from(checkpoint->manifest().machine);
  config.name = options.name.empty() ? checkpoint->manifest().vm : options.name;
  config.serial = options.serial;
  config.trace = options.trace;
  config.on_failure = options.on_failure;
  DiskImages disks(*checkpoint, config.name, options.disk_directory);
  tell({"check", 0, 1});
  auto machine = std::make_unique<Lifecycle>(config, FileStart::kAppend, checkpoint->manifest().id);
  machine->guest().check(*checkpoint);
  disks.write(tell);
  if (loads_lazily(options.memory_load)) {
    const std::shared_ptr<const BlockSource> memory(checkpoint, &checkpoint->memory());
    machine->restore_lazily(*checkpoint, options.wrap_memory ? options.wrap_memory(memory) : memory, tell);
  } else {
    machine->guest().restore(*checkpoint, tell);
  }
  tell({"disks", 0, 1});
  machine->guest().virtio().open_disks(disks.publish());
  machine->begin_from({checkpoint->manifest().id, checkpoint->manifest().identity});
  disks.keep();
  return machine;
}

}  // namespace tintype
