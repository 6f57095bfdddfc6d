// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/format/part_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <vector>

#include "checkpoint/format/part_format.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

constexpr std::uint64_t kWritebackStep = 16 << 20;
constexpr std::uint64_t kZerosAtOnce = 16 << 20;
constexpr std::size_t kMaximumPieces = 1024;  // IOV_MAX
constexpr std::uint64_t kNowhere = std::numeric_limits<std::uint64_t>::max();

/// Less than this is gone faster by way of the cache. What goes past it is aligned to blocks, which suits every device.
constexpr std::uint64_t kLarge = 512 << 10;

UniqueFd create(const std::filesystem::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) throw Error("cannot create {}: {}", path.string(), errno_text(errno));
  return fd;
}

/// In memory there is no cache to pass by, there are no extents to keep together, and pages allocated early are cold
/// when they are written.
bool lies_in_memory(int fd) {
  struct statfs info {};
  return ::fstatfs(fd, &info) == 0 && info.f_type == TMPFS_MAGIC;
}

std::uint64_t bytes_of(std::span<const iovec> pieces) {
  std::uint64_t bytes = 0;
  for (const iovec& piece : pieces) bytes += piece.iov_len;
  return bytes;
}

bool is_aligned(std::span<const iovec> pieces, std::uint64_t offset) {
  std::uint64_t any = offset;
  for (const iovec& piece : pieces) any |= reinterpret_cast<std::uintptr_t>(piece.iov_base) | piece.iov_len;
  return any % kBlockSize == 0;
}

/// Drops what was written.
std::span<iovec> advance(std::span<iovec> pieces, std::size_t written) {
  while (!pieces.empty() && written >= pieces.front().iov_len) {
    written -= pieces.front().iov_len;
    pieces = pieces.subspan(1);
  }
  if (written > 0) {
    pieces.front().iov_base = static_cast<std::byte*>(pieces.front().iov_base) + written;
    pieces.front().iov_len -= written;
  }
  return pieces;
}

/// One call, which may write less than all; -1 and errno where it fails.
ssize_t write_some(int fd, std::span<const iovec> pieces, std::uint64_t offset) {
  for (;;) {
    const auto written = ::pwritev(fd, pieces.data(), static_cast<int>(std::min(pieces.size(), kMaximumPieces)),
                                   static_cast<off_t>(offset));
    if (written >= 0 || errno != EINTR) return written;
  }
}

}  // namespace

PartFile::PartFile(const std::filesystem::path& path, Lasting lasting)
    : path_(path), lasts_(lasting == Lasting::kYes), fd_(create(path)), dirty_begin_(kNowhere) {
  const bool in_memory = lies_in_memory(fd_.get());
  can_reserve_ = !in_memory;
  if (!in_memory && lasts_) direct_ = UniqueFd(::open(path.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC));
  is_direct_ = static_cast<bool>(direct_);
}

void PartFile::write(std::span<iovec> pieces, std::uint64_t offset) {
  if (write_past_cache(pieces, offset)) return;
  const std::uint64_t start = offset;
  while (!pieces.empty()) {
    const auto written = write_some(fd_.get(), pieces, offset);
    if (written <= 0) throw_write_error(written < 0 ? errno : ENOSPC, offset);
    offset += static_cast<std::uint64_t>(written);
    pieces = advance(pieces, static_cast<std::size_t>(written));
  }
  note_cached(start, offset - start);
}

/// False where it is small, not aligned, or the file system will not have it; what is left goes by way of the cache.
bool PartFile::write_past_cache(std::span<iovec>& pieces, std::uint64_t& offset) {
  while (!pieces.empty()) {
    if (!is_direct_.load(std::memory_order_relaxed) || !is_aligned(pieces, offset)) return false;
    if (bytes_of(pieces) < kLarge) return false;
    const auto written = write_some(direct_.get(), pieces, offset);
    if (written < 0 && errno != EINVAL && errno != EOPNOTSUPP) throw_write_error(errno, offset);
    if (written <= 0) {
      is_direct_.store(false, std::memory_order_relaxed);
      return false;
    }
    offset += static_cast<std::uint64_t>(written);
    pieces = advance(pieces, static_cast<std::size_t>(written));
  }
  return true;
}

void PartFile::write(std::span<const std::byte> bytes, std::uint64_t offset) {
  try {
    write_exactly(fd_.get(), bytes, offset, path_.string());
  } catch (const std::system_error& error) {
    throw_write_error(error.code().value(), offset);
  }
}

// Allocating in large steps keeps ext4 from throttling repeated captures. Where it does not work, writing itself will
// tell why.
void PartFile::reserve(std::uint64_t end, std::uint64_t step) {
  if (end <= reserved_ || !can_reserve_) return;
  const std::uint64_t target = std::max(end, reserved_ + step);
  can_reserve_ = ::fallocate(fd_.get(), 0, static_cast<off_t>(reserved_), static_cast<off_t>(target - reserved_)) == 0;
  if (can_reserve_) reserved_ = target;
}

// The device starts on what lies in the cache, so that little is left for the fsync at the end. Not all file systems
// can; none must.
void PartFile::note_cached(std::uint64_t offset, std::uint64_t bytes) {
  std::uint64_t begin = 0, end = 0;
  {
    const std::lock_guard lock(writeback_mutex_);
    dirty_begin_ = std::min(dirty_begin_, offset);
    dirty_end_ = std::max(dirty_end_, offset + bytes);
    dirty_bytes_ += bytes;
    if (dirty_bytes_ < kWritebackStep || !lasts_) return;
    begin = std::exchange(dirty_begin_, kNowhere);
    end = std::exchange(dirty_end_, 0);
    dirty_bytes_ = 0;
  }
  (void)::sync_file_range(fd_.get(), static_cast<off_t>(begin), static_cast<off_t>(end - begin), SYNC_FILE_RANGE_WRITE);
}

void PartFile::erase(std::uint64_t offset, std::uint64_t bytes) {
  if (bytes == 0) return;
  if (::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                  static_cast<off_t>(bytes)) == 0)
    return;
  const std::vector<std::byte> zeros(std::min(bytes, kZerosAtOnce));
  for (std::uint64_t done = 0; done < bytes; done += zeros.size())
    write(std::span(zeros).first(std::min<std::uint64_t>(zeros.size(), bytes - done)), offset + done);
}

void PartFile::truncate(std::uint64_t end) {
  if (::ftruncate(fd_.get(), static_cast<off_t>(end)) != 0) throw_write_error(errno, end);
}

void PartFile::start_writeback() noexcept {
  if (lasts_) tintype::start_writeback(fd_.get());
}

void PartFile::finish_writeback() {
  if (lasts_ && !wait_for_writeback(fd_.get())) sync();
}

void PartFile::sync() {
  if (lasts_ && ::fsync(fd_.get()) != 0) throw_write_error(errno, 0);
}

void PartFile::throw_write_error(int error_number, std::uint64_t offset) const {
  if (error_number == ENOSPC || error_number == EDQUOT) {
    throw DestinationFull(
        "the destination is full: {} could not be written beyond {} MiB; make room on the file system of {}, or choose "
        "another destination",
        path_.filename().string(), offset >> 20, path_.parent_path().string());
  }
  throw Error("writing {} failed after {} MiB: {}", path_.string(), offset >> 20, errno_text(error_number));
}

}  // namespace tintype
