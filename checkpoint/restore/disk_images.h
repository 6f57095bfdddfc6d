// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/store/checkpoint_reader.h"
#include "checkpoint/store/sparse_file.h"
#include "vmm/base/progress.h"

namespace tintype {

/// The disks of a machine that is restored: new raw images, written from the checkpoint. The images that the captured
/// machine had are never touched: it may still be running on them, and what it wrote after the capture is not ours to
/// lose. Where they were is never looked at: a manifest may come from anywhere.
///
/// Files have no names until publish(), so that nothing is left of a restore that is killed; until keep() the
/// destructor takes them away again.
class DiskImages {
 public:
  /// Checks that `directory` can take them; creates nothing. The checkpoint must live longer. Throws tintype::Error.
  DiskImages(const CheckpointReader& checkpoint, std::string machine, std::filesystem::path directory);
  ~DiskImages();
  DiskImages(const DiskImages&) = delete;
  DiskImages& operator=(const DiskImages&) = delete;

  /// Writes all of them out, to the device.
  void write(const ProgressSink& progress);
  /// Names them MACHINE-disk0.img and so on, with a number added where that is a file already. Returns their paths in
  /// the order of the machine's disks.
  const std::vector<std::filesystem::path>& publish();
  void keep() noexcept { named_.clear(); }

 private:
  void check_directory() const;
  std::filesystem::path name_of(std::size_t disk, unsigned attempt) const;

  const CheckpointReader& checkpoint_;
  const std::string machine_;
  const std::filesystem::path directory_;
  std::vector<std::unique_ptr<SparseFile>> files_;
  std::vector<std::filesystem::path> named_;
};

}  // namespace tintype
