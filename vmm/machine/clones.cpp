// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/clones.h"

#include "checkpoint/restore/shared_images.h"
#include "checkpoint/s3/location.h"
#include "vmm/base/error.h"
#include "vmm/machine/restored_machine.h"

namespace tintype {

namespace {

/// Of a machine whose disks are all nonpersistent: what it writes to them goes with it.
Manifest without_lasting_disks(Manifest manifest) {
  for (DiskDescription& disk : manifest.machine.disks) disk.mode = name_of(DiskMode::kNonpersistent);
  return manifest;
}

}  // namespace

CloneSource::CloneSource(const RestoreOptions& options, const ProgressSink& progress) : options_(options) {
  options_.memory_load.reset();
  check(!S3Location::is_meant_by(options.repository), "clones share files of this computer");
  checkpoint_ = open_to_restore(options);
  const std::filesystem::path directory = image_directory(options.disk_directory);
  check_image_directory(*checkpoint_, directory);
  if (progress) progress({"check", 0, 1});
  check_machine();
  images_ = std::make_unique<const SharedImages>(checkpoint_, directory, options.wrap_disk);
  memory_ = std::make_shared<const MemoryImage>(checkpoint_->memory(), progress);
}

CloneSource::~CloneSource() = default;

// Of one that nobody is to have.
void CloneSource::check_machine() const {
  RestoreOptions options = options_;
  options.serial = {SerialKind::kNull, {}};
  make_machine_like(without_lasting_disks(checkpoint_->manifest()), options)->guest().check(*checkpoint_);
}

std::unique_ptr<Machine> CloneSource::make(const std::string& name, const SerialConfig& serial,
                                           const ProgressSink& progress) const {
  const ProgressSink tell = progress ? progress : [](const Progress&) {};
  VmShell shell;
  RestoreOptions options = options_;
  options.name = name;
  options.serial = serial;
  tell({"check", 0, 1});
  auto machine = make_machine_like(without_lasting_disks(checkpoint_->manifest()), options, std::move(shell));
  machine->guest().check(*checkpoint_);
  machine->guest().restore_shared(*checkpoint_, memory_, tell);
  tell({"disks", 0, 1});
  begin(*machine, *checkpoint_, images_->open(name));
  return machine;
}

}  // namespace tintype
