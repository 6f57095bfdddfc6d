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
#include "vmm/base/image_place.h"
#include "vmm/base/progress.h"

namespace tintype {

/// When a disk's image becomes what the checkpoint has.
enum class Completion : std::uint8_t {
  kBefore,     ///< the machine runs
  kMeanwhile,  ///< while it does, where the image can say that it is not whole
  kNever,      ///< only what somebody asks for is brought; the image has no name, and goes with the process
};

/// Where the images of a restored machine go, unless somebody says something else.
std::filesystem::path image_directory(const std::filesystem::path& directory);
/// That directory can take the disks of a machine. Creates nothing. Throws tintype::Error.
void check_image_directory(const CheckpointReader& checkpoint, const std::filesystem::path& directory);

/// A file that never has a name, where `path` would be. Throws as SparseFile does.
std::shared_ptr<const UniqueFd> make_unnamed(const std::filesystem::path& path, std::uint64_t bytes);
/// What an image without a name is called in messages.
std::filesystem::path unnamed_path(const std::filesystem::path& directory, const std::string& machine,
                                   std::size_t disk);
/// Where a disk of which only that is brought that somebody asks for lies.
ImagePlace unnamed_place(std::filesystem::path path, std::shared_ptr<const UniqueFd> file,
                         std::shared_ptr<const BlockSource> source, std::shared_ptr<ImageChunks> chunks);

/// The disks of a machine that is restored: new raw images, of what the checkpoint has. The images that the captured
/// machine had are never touched: it may still be running on them, and what it wrote after the capture is not ours to
/// lose. Where they were is never looked at: a manifest may come from anywhere.
///
/// Files have no names until publish(), so that nothing is left of a restore that is killed; those that never become
/// whole never have any. Until keep() the destructor takes them away again.
class DiskImages {
 public:
  /// What tests turn: a disk of the checkpoint, read in another way.
  using Wrap = std::function<std::shared_ptr<const BlockSource>(std::shared_ptr<const BlockSource>)>;

  /// Checks that `directory` can take them; creates nothing. Throws tintype::Error.
  DiskImages(std::shared_ptr<const CheckpointReader> checkpoint, std::string machine,
             const std::filesystem::path& directory, Wrap wrap = {});
  ~DiskImages();
  DiskImages(const DiskImages&) = delete;
  DiskImages& operator=(const DiskImages&) = delete;

  /// Makes all of them, and writes those out, to the device, that do not come later. `completions`: of each disk.
  void write(std::span<const Completion> completions, const ProgressSink& progress);
  /// Names them MACHINE-disk0.img and so on, with a number added where that is a file already. Returns where they lie,
  /// in the order of the machine's disks.
  const std::vector<ImagePlace>& publish();
  void keep() noexcept { named_.clear(); }

 private:
  const std::vector<DiskDescription>& disks() const noexcept { return checkpoint_->manifest().machine.disks; }
  void write(std::size_t disk, SparseFile& file, const ProgressSink& progress);
  ImagePlace publish(std::size_t disk);
  std::shared_ptr<const BlockSource> source_of(std::size_t disk) const;
  bool tell_incomplete(std::size_t disk, const SparseFile& file) const;
  std::filesystem::path name_of(std::size_t disk, unsigned attempt) const;

  const std::shared_ptr<const CheckpointReader> checkpoint_;
  const std::string machine_;
  const std::filesystem::path directory_;
  const Wrap wrap_;
  std::vector<std::unique_ptr<SparseFile>> files_;        ///< null where it is to have no name
  std::vector<std::shared_ptr<const UniqueFd>> unnamed_;  ///< null where it is
  std::vector<Completion> completions_;
  std::vector<ImagePlace> places_;
  std::vector<std::filesystem::path> named_;
};

}  // namespace tintype
