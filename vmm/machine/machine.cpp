// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/machine.h"

#include "checkpoint/restore/disk_images.h"
#include "vmm/base/error.h"
#include "vmm/machine/describe.h"
#include "vmm/machine/lifecycle.h"
#include "vmm/machine/saved_state.h"

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
  DiskImages disks(checkpoint, config.name, options.disk_directory, options.wrap_disk);
  tell({"check", 0, 1});
  auto machine = std::make_unique<Lifecycle>(config, FileStart::kAppend, checkpoint->manifest().id);
  machine->guest().check(*checkpoint);
  disks.write(completions(config, options), tell);
  if (loads_lazily(options.memory_load)) {
    const std::shared_ptr<const BlockSource> memory(checkpoint, &checkpoint->memory());
    machine->restore_lazily(*checkpoint, options.wrap_memory ? options.wrap_memory(memory) : memory, tell);
  } else {
    machine->guest().restore(*checkpoint, tell);
  }
  tell({"disks", 0, 1});
  const auto& images = disks.publish();
  machine->guest().virtio().open_disks(images, disks.absent());
  machine->begin_from({checkpoint->manifest().id, checkpoint->manifest().identity});
  disks.keep();
  return machine;
}

namespace {

/// Where the machine left it, or beside its saved state: the two may have been moved together. What is there must say
/// that it belongs to this machine.
std::filesystem::path image_of(const DiskDescription& disk, const std::filesystem::path& state) {
  std::error_code unknown;
  if (std::filesystem::exists(disk.image, unknown)) return disk.image;
  std::filesystem::path beside = state.parent_path() / disk.image.filename();
  if (std::filesystem::exists(beside, unknown)) return beside;
  throw Error("{} of the suspended machine is neither {} nor {}: put it back", disk.id, disk.image.string(),
              beside.string());
}

void open_images(VirtioDevices& virtio, const CheckpointReader& saved, const std::filesystem::path& state) {
  std::vector<std::filesystem::path> images;
  for (const DiskDescription& disk : saved.manifest().machine.disks) images.push_back(image_of(disk, state));
  virtio.open_disks(images);
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (virtio.disks()[i]->size() != saved.manifest().machine.disks[i].size)
      throw Error("the disk image {} has another size than the suspended machine left it with", images[i].string());
  }
}

}  // namespace

std::unique_ptr<Machine> resume_machine(const ResumeOptions& options, const ProgressSink& progress) {
  const ProgressSink tell = progress ? progress : [](const Progress&) {};
  const std::filesystem::path state = find_saved_state(options.directory);
  const auto saved = std::make_shared<const CheckpointReader>(state, std::nullopt);
  saved->require(Portion::kMemory);
  MachineConfig config = config_from(saved->manifest().machine);
  config.name = options.name.empty() ? saved->manifest().vm : options.name;
  config.serial = options.serial;
  config.trace = options.trace;
  config.on_failure = options.on_failure;
  config.disk_directory = options.disk_directory;
  config.suspended_as = saved->manifest().identity;
  auto machine = std::make_unique<Lifecycle>(config, FileStart::kAppend, 0);
  tell({"check", 0, 1});
  machine->guest().check(*saved);
  open_images(machine->guest().virtio(), *saved, state);
  if (loads_lazily(options.memory_load)) {
    machine->restore_lazily(*saved, {saved, &saved->memory()}, tell);
  } else {
    machine->guest().restore(*saved, tell);
  }
  machine->resumes_from(state);
  return machine;
}

}  // namespace tintype
