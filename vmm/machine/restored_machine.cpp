// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/restored_machine.h"

#include "vmm/machine/describe.h"

namespace tintype {

// Everything is checked before anything is made, and what is made has no name before all of it is there. Each step says
// that it begins, so that whoever watches can end the restore between any two of them.
namespace {

/// The image of an undoable disk rests while there are logs above it.
std::vector<Completion> completions(const MachineConfig& config, const RestoreOptions& options) {
  std::vector<Completion> list;
  for (const DiskConfig& disk : config.disks) {
    const bool at_once = options.memory_load == MemoryLoad::kEager || disk.mode == DiskMode::kUndoable;
    list.push_back(at_once                                 ? Completion::kBefore
                   : disk.mode == DiskMode::kNonpersistent ? Completion::kNever
                                                           : Completion::kMeanwhile);
  }
  return list;
}

}  // namespace

std::shared_ptr<const CheckpointReader> open_to_restore(const RestoreOptions& options) {
  auto checkpoint = std::make_shared<const CheckpointReader>(
      options.repository, options.id == 0 ? std::nullopt : std::optional(options.id));
  checkpoint->require(Portion::kAll);
  return checkpoint;
}

std::string restored_name(const Manifest& manifest, const RestoreOptions& options) {
  return options.name.empty() ? manifest.vm : options.name;
}

std::unique_ptr<Lifecycle> make_machine_like(const Manifest& manifest, const RestoreOptions& options, VmShell shell) {
  MachineConfig config = config_from(manifest.machine);
  config.name = restored_name(manifest, options);
  config.serial = options.serial;
  config.trace = options.trace;
  config.on_failure = options.on_failure;
  return std::make_unique<Lifecycle>(config, FileStart::kAppend, std::move(shell));
}

void begin(Lifecycle& machine, const CheckpointReader& checkpoint, std::span<const ImagePlace> images) {
  machine.guest().virtio().open_disks(images);
  machine.begin_from({checkpoint.manifest().id, checkpoint.manifest().identity});
}

void become(Lifecycle& machine, const CheckpointReader& checkpoint, const std::shared_ptr<DiskImages>& disks,
            const RestoreOptions& options, const std::function<void()>& restore, const ProgressSink& tell) {
  machine.guest().check(checkpoint);
  disks->write(completions(machine.config(), options), tell);
  restore();
  tell({"disks", 0, 1});
  machine.keep_when_started(disks);
  begin(machine, checkpoint, disks->publish());
}

}  // namespace tintype
