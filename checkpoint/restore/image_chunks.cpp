// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/restore/image_chunks.h"

#include <sys/mman.h>

#include <algorithm>
#include <memory>

#include "vmm/base/error.h"
#include "vmm/base/unique_fd.h"

namespace tintype {

namespace {

std::uint64_t chunks_of(const BlockSource& source) {
  return (source.content_bytes() + ImageChunks::kBytes - 1) / ImageChunks::kBytes;
}

/// Memory, zero, that processes share which fork.
Mapping shared_memory(std::uint64_t bytes) {
  const UniqueFd file(::memfd_create("tintype-chunks", MFD_CLOEXEC));
  if (!file) throw_errno("memfd_create");
  if (::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) throw_errno("ftruncate of an image's chunks");
  Mapping memory = Mapping::of_fd(file.get(), bytes);
  if (!memory.advise(MADV_DOFORK)) throw_errno("madvise(MADV_DOFORK)");
  return memory;
}

}  // namespace

ImageChunks::ImageChunks(const BlockSource& source)
    : memory_(shared_memory((1 + chunks_of(source)) * sizeof(Bytes))),
      bytes_left_(*std::construct_at(reinterpret_cast<Bytes*>(memory_.data()))),
      absent_(&bytes_left_ + 1, chunks_of(source)) {
  std::uninitialized_value_construct(absent_.begin(), absent_.end());
  expect_all(source);
}

void ImageChunks::expect_all(const BlockSource& source) noexcept {
  for (std::uint64_t block = 0; block < source.blocks();) {
    const auto run = source.next_run(block);  // may have begun before it
    if (!run) break;
    const std::size_t chunk = std::max(run->first_block, block) / kBlocks;
    const std::uint64_t bytes = std::min(kBytes, source.content_bytes() - chunk * kBytes);
    bytes_left_ += bytes - absent_[chunk].exchange(bytes);
    block = (chunk + 1) * kBlocks;
  }
}

}  // namespace tintype
