// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/restore/shared_images.h"

#include <utility>

namespace tintype {

SharedImages::SharedImages(const std::shared_ptr<const CheckpointReader>& checkpoint,
                           const std::filesystem::path& directory, const DiskImages::Wrap& wrap)
    : directory_(image_directory(directory)) {
  for (const DiskDescription& disk : checkpoint->manifest().machine.disks) {
    std::shared_ptr<const BlockSource> source(checkpoint, checkpoint->disk(disk.id));
    if (wrap) source = wrap(std::move(source));
    auto chunks = std::make_shared<ImageChunks>(*source);
    images_.push_back(
        {make_unnamed(directory_ / disk.id, source->content_bytes()), std::move(chunks), std::move(source)});
  }
}

std::vector<ImagePlace> SharedImages::open(const std::string& machine) const {
  std::vector<ImagePlace> places;
  for (std::size_t i = 0; i < images_.size(); ++i)
    places.push_back(
        unnamed_place(unnamed_path(directory_, machine, i), images_[i].file, images_[i].source, images_[i].chunks));
  return places;
}

}  // namespace tintype
