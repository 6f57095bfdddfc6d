// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/machine.h"

#include "vmm/base/error.h"
#include "vmm/machine/describe.h"
#include "vmm/machine/restored_machine.h"
#include "vmm/machine/saved_state.h"

namespace tintype {

std::unique_ptr<Machine> boot_machine(const MachineConfig& config) {
  auto machine = std::make_unique<Lifecycle>(config, FileStart::kTruncate);
  machine->guest().load_kernel();
  return machine;
}

namespace {

bool loads_lazily(std::optional<MemoryLoad> wanted) {
  return wanted ? *wanted == MemoryLoad::kLazy : probe_userfault().missing_pages;
}

}  // namespace

std::unique_ptr<Machine> restore_machine(const RestoreOptions& options, const ProgressSink& progress) {
  const ProgressSink tell = progress ? progress : [](const Progress&) {};
  VmShell shell;
  const auto checkpoint = open_to_restore(options);
  const auto disks = std::make_shared<DiskImages>(checkpoint, restored_name(checkpoint->manifest(), options),
                                                  options.disk_directory, options.wrap_disk);
  tell({"check", 0, 1});
  auto machine = make_machine_like(checkpoint->manifest(), options, std::move(shell));
  const auto restore = [&] {
    if (!loads_lazily(options.memory_load)) return machine->guest().restore(*checkpoint, tell);
    const std::shared_ptr<const BlockSource> memory(checkpoint, &checkpoint->memory());
    machine->restore_lazily(*checkpoint, options.wrap_memory ? options.wrap_memory(memory) : memory, tell);
  };
  become(*machine, *checkpoint, disks, options, restore, tell);
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
  std::vector<ImagePlace> images;
  for (const DiskDescription& disk : saved.manifest().machine.disks) images.push_back({image_of(disk, state)});
  virtio.open_disks(images);
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (virtio.disks()[i]->size() != saved.manifest().machine.disks[i].size)
      throw Error("the disk image {} has another size than the suspended machine left it with",
                  images[i].path.string());
  }
}

}  // namespace

std::unique_ptr<Machine> resume_machine(const ResumeOptions& options, const ProgressSink& progress) {
  const ProgressSink tell = progress ? progress : [](const Progress&) {};
  VmShell shell;
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
  auto machine = std::make_unique<Lifecycle>(config, FileStart::kAppend, std::move(shell));
  tell({"check", 0, 1});
  machine->guest().check(*saved);
  open_images(machine->guest().virtio(), *saved, state);
  if (loads_lazily(options.memory_load)) {
    machine->restore_lazily(*saved, {saved, &saved->memory()}, tell);
  } else {
    machine->guest().restore(*saved, tell);
  }
  machine->guest().complete_restore();
  machine->resumes_from(state);
  return machine;
}

}  // namespace tintype
