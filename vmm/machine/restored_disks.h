// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/image/checkpoint_reader.h"
#include "vmm/base/progress.h"
#include "vmm/machine/config.h"

namespace tintype {

/// The disks of a restored machine: new raw images, written from the checkpoint. The images that the captured machine
/// had are never touched: it may still be running on them, and what it wrote after the capture is not ours to lose.
///
/// Until keep() is called, the destructor removes what was written.
class RestoredDisks {
 public:
  /// Writes NAME-disk0.img and so on into `directory` (or beside the images that the disks had), with a number added
  /// where a file is there already, and puts their paths into `config`. Throws tintype::Error.
  RestoredDisks(const CheckpointReader& checkpoint, const std::string& machine, const std::filesystem::path& directory,
                MachineConfig& config, const ProgressSink& progress);
  ~RestoredDisks();
  RestoredDisks(const RestoredDisks&) = delete;
  RestoredDisks& operator=(const RestoredDisks&) = delete;

  void keep() noexcept { written_.clear(); }

 private:
  std::vector<std::filesystem::path> written_;
};

}  // namespace tintype
