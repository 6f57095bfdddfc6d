// SPDX-License-Identifier: Apache-2.0
#include "devices/block/io_engine.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "devices/block/io_ring.h"
#include "devices/block/io_threads.h"

namespace tintype {
namespace {

alignas(4096) constinit std::array<std::byte, 1 << 20> zeros{};  // never written to

}  // namespace

unsigned HostIo::remaining_count() const noexcept {
  return static_cast<unsigned>(std::min<std::size_t>(segments.size() - first_segment, IOV_MAX));
}

int HostIo::fallocate_mode() const noexcept {
  return FALLOC_FL_KEEP_SIZE | (punches ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
}

std::int64_t HostIo::perform() noexcept {
  std::int64_t result = 0;
  const auto at = static_cast<off_t>(offset);
  switch (kind) {
    case Kind::kRead:
      result = ::preadv(fd, remaining(), static_cast<int>(remaining_count()), at);
      break;
    case Kind::kWrite:
      result = ::pwritev(fd, remaining(), static_cast<int>(remaining_count()), at);
      break;
    case Kind::kZero:
      result = ::fallocate(fd, fallocate_mode(), at, static_cast<off_t>(length));
      break;
    case Kind::kSync:
      result = ::fdatasync(fd);
      break;
  }
  return result < 0 ? -errno : result;
}

void HostIo::write_zeros_instead() noexcept {
  kind = Kind::kWrite;
  segments.clear();
  first_segment = 0;
  for (std::uint64_t left = length; left > 0; left -= segments.back().iov_len)
    segments.push_back({zeros.data(), std::min<std::size_t>(left, zeros.size())});
}

bool HostIo::settle(std::int64_t result) noexcept {
  // ECANCELED: io_uring gives up what a thread queued when that thread ends. The transfer itself is still
  // wanted.
  if (result == -EINTR || result == -EAGAIN || result == -ECANCELED) return false;
  if (kind == Kind::kZero && result == -EOPNOTSUPP) return write_zeros_instead(), false;
  if (result < 0) {
    error_number = static_cast<int>(-result);
    return true;
  }
  if (kind == Kind::kSync || kind == Kind::kZero) return true;
  if (result == 0) {  // the file ends too early, or will not grow
    error_number = kind == Kind::kRead ? EIO : ENOSPC;
    return true;
  }
  offset += static_cast<std::uint64_t>(result);
  auto left = static_cast<std::size_t>(result);
  while (first_segment < segments.size() && left >= segments[first_segment].iov_len) {
    left -= segments[first_segment++].iov_len;
  }
  if (first_segment == segments.size()) return true;
  iovec& partial = segments[first_segment];
  partial.iov_base = static_cast<char*>(partial.iov_base) + left;
  partial.iov_len -= left;
  return false;
}

std::unique_ptr<IoEngine> make_io_engine(IoEngineKind kind) {
  if (kind != IoEngineKind::kThreads) {
    try {
      return std::make_unique<IoRing>();
    } catch (const std::exception&) {  // EPERM, ENOSYS, no memory that may be locked: threads do as well
      if (kind == IoEngineKind::kRing) throw;
    }
  }
  return std::make_unique<IoThreads>();
}

}  // namespace tintype
