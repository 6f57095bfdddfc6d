// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/complete_image.h"

#include <fcntl.h>

#include "checkpoint/restore/lazy_disk.h"
#include "checkpoint/store/checkpoint_reader.h"
#include "devices/block/raw_file.h"
#include "vmm/base/error.h"
#include "vmm/base/image_note.h"
#include "vmm/base/io.h"

namespace tintype {

namespace {

std::shared_ptr<const BlockSource> source_of(const IncompleteNote& note, const std::string& image) {
  const auto checkpoint = std::make_shared<const CheckpointReader>(note.repository, note.id);
  const BlockSource* const disk = checkpoint->disk(note.disk);
  if (checkpoint->manifest().identity != note.identity || disk == nullptr) {
    throw Error("checkpoint {} in {} is another one than {} was being restored from: delete that image", note.id,
                note.repository.string(), image);
  }
  return {checkpoint, disk};
}

}  // namespace

// All of it once more: the image has only what the checkpoint has, and what the guest wrote is in the logs above it.
std::uint64_t complete_image(const std::filesystem::path& image) {
  UniqueFd fd = open_file(image, O_RDWR);
  const auto note = read_incomplete_note(fd.get());
  if (!note) throw Error("the disk image {} says nothing of being incomplete: there is nothing to do", image.string());
  const auto source = source_of(*note, image.string());
  if (file_size(fd.get(), image.string()) != source->content_bytes())
    throw Error("the disk image {} has another size than the disk in the checkpoint: delete it", image.string());
  const auto disk = std::make_shared<LazyDisk>(source, std::move(fd), image.string(), true);
  const auto locked = RawFile::open(image, false, disk);
  const std::uint64_t bytes = disk->bytes_left();
  disk->start({});
  disk->finish();
  return bytes;
}

}  // namespace tintype
