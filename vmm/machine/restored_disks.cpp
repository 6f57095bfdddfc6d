// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/restored_disks.h"

#include "checkpoint/restore/eager.h"
#include "vmm/base/error.h"

namespace tintype {

namespace {

namespace fs = std::filesystem;

/// Images of earlier restores are somebody's disks: they are left alone.
fs::path free_name(const fs::path& directory, const std::string& stem) {
  fs::path path = directory / (stem + ".img");
  for (int number = 2; fs::exists(path); ++number) path = directory / fmt::format("{}-{}.img", stem, number);
  return path;
}

fs::path directory_for(const fs::path& wanted, const DiskDescription& disk) {
  const fs::path directory = !wanted.empty()                ? wanted
                             : disk.image.has_parent_path() ? disk.image.parent_path()
                                                            : fs::path(".");
  if (fs::is_directory(directory)) return directory;
  throw Error("there is no directory {} to put {} into: name one with --disk-dir", directory.string(), disk.id);
}

}  // namespace

RestoredDisks::RestoredDisks(const CheckpointReader& checkpoint, const std::string& machine, const fs::path& directory,
                             MachineConfig& config, const ProgressSink& progress) {
  const std::vector<DiskDescription>& disks = checkpoint.manifest().machine.disks;
  for (std::size_t i = 0; i < disks.size(); ++i) {
    const PartReader* part = checkpoint.disk(disks[i].id);
    if (part == nullptr)
      throw Error("the checkpoint has no data of {}: `tintype verify` tells what else is missing", disks[i].id);
    const fs::path path = free_name(directory_for(directory, disks[i]), machine + "-" + disks[i].id);
    write_disk_image(*part, path, progress);
    written_.push_back(path);
    config.disks[i].image = path;
  }
}

RestoredDisks::~RestoredDisks() {
  for (const fs::path& path : written_) {
    std::error_code ignored;
    fs::remove(path, ignored);
  }
}

}  // namespace tintype
