// SPDX-License-Identifier: Apache-2.0
#include "devices/block/block_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "vmm/base/error.h"

namespace tintype {

void BlockFile::note_sync(std::uint64_t written, int error_number) noexcept {
  if (error_number != 0) {
    sync_error_.store(error_number);
    return;
  }
  std::uint64_t before = synced_.load();
  while (before < written && !synced_.compare_exchange_weak(before, written)) {
  }
}

// The kernel tells what it wants by refusing the rest: 512 bytes where the device has such sectors. (Nothing can be
// learnt from a file that is shorter than that.)
bool BlockFile::use_direct_io() {
  alignas(4096) std::array<std::byte, 512> sector;
  const int access = ::fcntl(fd(), F_GETFL) & O_ACCMODE;
  direct_fd_ = UniqueFd(::open(fmt::format("/proc/self/fd/{}", fd()).c_str(), access | O_DIRECT | O_CLOEXEC));
  if (!direct_fd_) return false;
  direct_alignment_ = ::pread(direct_fd_.get(), sector.data(), sector.size(), 0) == ssize_t{sector.size()} ? 512 : 4096;
  return true;
}

// The page cache is the bounce buffer of what is not aligned: records, small blocks, and odd buffers of a guest.
int BlockFile::fd_for(std::uint64_t offset, const std::vector<iovec>& segments) const noexcept {
  if (!direct_fd_) return fd();
  std::uint64_t bits = offset;
  for (const iovec& segment : segments) bits |= reinterpret_cast<std::uintptr_t>(segment.iov_base) | segment.iov_len;
  return bits % direct_alignment_ == 0 ? direct_fd_.get() : fd();
}

void BlockFile::sync() {
  const std::uint64_t covered = written();
  const int failed = ::fdatasync(fd()) == 0 ? 0 : errno;
  note_sync(covered, failed);
  if (sync_error() != 0) throw_errno_text(sync_error(), "fdatasync " + path_.string());
}

}  // namespace tintype
