// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/restore/lazy_disk.h"
#include "checkpoint/store/checkpoint_reader.h"
#include "checkpoint/store/sparse_file.h"
#include "vmm/base/progress.h"

namespace tintype {

/// When a disk's image becomes what the checkpoint has.
enum class Completion : std::uint8_t {
  kBefore,     ///< the machine runs
  kMeanwhile,  ///< while it does, where the image can say that it is not whole
  kNever,      ///< only what somebody asks for is brought; the image goes with the process
};

/// The disks of a machine that is restored: new raw images, of what the checkpoint has. The images that the captured
/// machine had are never touched: it may still be running on them, and what it wrote after the capture is not ours to
/// lose. Where they were is never looked at: a manifest may come from anywhere.
///
/// Files have no names until publish(), so that nothing is left of a restore that is killed; until keep() the
/// destructor takes them away again.
class DiskImages {
 public:
  /// What tests turn: a disk of the checkpoint, read in another way.
  using Wrap = std::function<std::shared_ptr<const BlockSource>(std::shared_ptr<const BlockSource>)>;

  /// Checks that `directory` can take them; creates nothing. Throws tintype::Error.
  DiskImages(std::shared_ptr<const CheckpointReader> checkpoint, std::string machine, std::filesystem::path directory,
             Wrap wrap = {});
  ~DiskImages();
  DiskImages(const DiskImages&) = delete;
  DiskImages& operator=(const DiskImages&) = delete;

  /// Makes all of them, and writes those out, to the device, that do not come later. `completions`: of each disk.
  void write(std::span<const Completion> completions, const ProgressSink& progress);
  /// Names them MACHINE-disk0.img and so on, with a number added where that is a file already. Returns their paths in
  /// the order of the machine's disks.
  const std::vector<std::filesystem::path>& publish();
  /// Of each, after publish(): what is still to come; null where it is all there.
  std::span<const std::shared_ptr<AbsentBlocks>> absent() const noexcept { return absent_; }
  /// Those that never become whole are open by now, and lose their names.
  void keep();

 private:
  const std::vector<DiskDescription>& disks() const noexcept { return checkpoint_->manifest().machine.disks; }
  void check_directory() const;
  bool tell_incomplete(std::size_t disk, const SparseFile& file) const;
  std::filesystem::path name_of(std::size_t disk, unsigned attempt) const;

  const std::shared_ptr<const CheckpointReader> checkpoint_;
  const std::string machine_;
  const std::filesystem::path directory_;
  const Wrap wrap_;
  std::vector<std::unique_ptr<SparseFile>> files_;
  std::vector<Completion> completions_;
  std::vector<std::shared_ptr<AbsentBlocks>> absent_;
  std::vector<std::filesystem::path> named_;
};

}  // namespace tintype
