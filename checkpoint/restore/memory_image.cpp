// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/restore/memory_image.h"

#include <fcntl.h>
#include <unistd.h>

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "checkpoint/format/load_part.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/base/mapping.h"

namespace tintype {

namespace {

constexpr int kPopulateRead = 22;  // MADV_POPULATE_READ, Linux 5.14

UniqueFd make_file(std::uint64_t bytes) {
  UniqueFd file(::memfd_create("tintype-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) throw_errno("memfd_create");
  if (::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) throw_errno("ftruncate of a machine's memory");
  return file;
}

}  // namespace

// Sealed: no machine can change what another one runs on.
MemoryImage::MemoryImage(const BlockSource& source, const ProgressSink& progress)
    : source_(source), file_(make_file(source.blocks() * kBlockSize)) {
  {
    const Mapping room = Mapping::of_fd(file_.get(), source.blocks() * kBlockSize);
    const auto locate = [&](std::uint64_t block) { return room.bytes().subspan(block * kBlockSize); };
    load_part(source, locate, std::clamp(std::thread::hardware_concurrency(), 1U, 4U), progress);
  }
  if (::fcntl(file_.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    throw_errno("fcntl(F_ADD_SEALS) on a machine's memory");
}

SharedMemory::SharedMemory(std::shared_ptr<const MemoryImage> image, GuestMemory& memory)
    : image_(std::move(image)), chunks_(memory) {
  for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    const Chunk& pages = chunks_[chunk];
    const auto run = image_->source().next_run(pages.first_page);
    if (!run || run->first_block >= pages.first_page + pages.pages) continue;
    void* const at =
        ::mmap(pages.host, pages.bytes().size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
               image_->fd(), static_cast<off_t>(pages.first_page * kPageSize));
    if (at == MAP_FAILED) throw_errno("mmap of a machine's memory");
    mapped_.push_back(pages.bytes());
  }
}

void SharedMemory::make_present() const {
  for (const auto& range : mapped_)
    if (::madvise(range.data(), range.size(), kPopulateRead) != 0) throw_errno("madvise(MADV_POPULATE_READ)");
}

bool SharedMemory::as_saved(std::size_t chunk, const PageSet& there) const {
  const Chunk& pages = chunks_[chunk];
  std::vector<std::byte> saved(pages.bytes().size());
  read_exactly(image_->fd(), saved, pages.first_page * kPageSize, "a machine's memory");
  bool same = true;
  there.for_each_run(pages.first_page, pages.pages, [&](std::uint64_t page, std::uint64_t count) {
    const std::uint64_t offset = (page - pages.first_page) * kPageSize;
    same = same && std::memcmp(pages.host + offset, saved.data() + offset, count * kPageSize) == 0;
  });
  return same;
}

}  // namespace tintype
