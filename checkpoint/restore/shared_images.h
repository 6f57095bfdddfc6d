// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/restore/disk_images.h"
#include "checkpoint/restore/image_chunks.h"

namespace tintype {

/// The disks of machines that are restored side by side, each in a process of its own: one image of each disk, which
/// has no name, and into which comes what any of them reads. What a machine writes is above it, and its own.
class SharedImages {
 public:
  /// In the process that is to fork: makes the images, in which nothing is yet. check_image_directory() comes before.
  SharedImages(const std::shared_ptr<const CheckpointReader>& checkpoint, const std::filesystem::path& directory,
               const DiskImages::Wrap& wrap);

  /// In the process of the machine of that name: of each disk, in order.
  std::vector<ImagePlace> open(const std::string& machine) const;

 private:
  struct Image {
    std::shared_ptr<const UniqueFd> file;
    std::shared_ptr<ImageChunks> chunks;
    std::shared_ptr<const BlockSource> source;
  };

  std::filesystem::path directory_;
  std::vector<Image> images_;
};

}  // namespace tintype
