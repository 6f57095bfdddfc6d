// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/clones.h"

#include "checkpoint/restore/disk_images.h"
#include "checkpoint/s3/location.h"
#include "vmm/base/error.h"
#include "vmm/machine/describe.h"
#include "vmm/machine/lifecycle.h"

namespace tintype {

CloneSource::CloneSource(const RestoreOptions& options, const ProgressSink& progress) : options_(options) {
  if (S3Location::is_meant_by(options.repository)) {
    throw Error("clones share the files of a repository on this computer: `tintype copy {} DIR` makes one",
                options.repository);
  }
  checkpoint_ = std::make_shared<const CheckpointReader>(options.repository,
                                                         options.id == 0 ? std::nullopt : std::optional(options.id));
  checkpoint_->require(Portion::kAll);
  memory_ = std::make_shared<const MemoryImage>(checkpoint_->memory(), progress);
}

CloneSource::~CloneSource() = default;

std::unique_ptr<Machine> CloneSource::make(const std::string& name, const SerialConfig& serial,
                                           const ProgressSink& progress) const {
  const ProgressSink tell = progress ? progress : [](const Progress&) {};
  MachineConfig config = config_from(checkpoint_->manifest().machine);
  config.name = name;
  config.serial = serial;
  config.trace = options_.trace;
  config.on_failure = options_.on_failure;
  config.disk_directory = options_.disk_directory;
  for (DiskConfig& disk : config.disks)
    if (!disk.read_only) disk.mode = DiskMode::kNonpersistent;
  DiskImages disks(checkpoint_, name, options_.disk_directory, options_.wrap_disk);
  tell({"check", 0, 1});
  auto machine = std::make_unique<Lifecycle>(config, FileStart::kAppend, checkpoint_->manifest().id);
  machine->guest().check(*checkpoint_);
  disks.write(std::vector(config.disks.size(), Completion::kNever), tell);
  machine->guest().restore_shared(*checkpoint_, memory_, tell);
  tell({"disks", 0, 1});
  const auto& images = disks.publish();
  machine->guest().virtio().open_disks(images, disks.absent());
  machine->begin_from({checkpoint_->manifest().id, checkpoint_->manifest().identity});
  disks.keep();
  return machine;
}

}  // namespace tintype
