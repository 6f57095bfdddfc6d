// SPDX-License-Identifier: Apache-2.0
#include "devices/block/io_engine.h"

#include <limits.h>

#include <algorithm>
#include <cerrno>

#include "devices/block/io_ring.h"
#include "devices/block/io_threads.h"

namespace tintype {

unsigned HostIo::remaining_count() const noexcept {
  return static_cast<unsigned>(std::min<std::size_t>(segments.size() - first_segment, IOV_MAX));
}

bool HostIo::settle(std::int64_t result) noexcept {
  // ECANCELED: io_uring gives up what a thread queued when that thread ends. The transfer itself is still
  // wanted.
  if (result == -EINTR || result == -EAGAIN || result == -ECANCELED) return false;
  if (result < 0) {
    error_number = static_cast<int>(-result);
    return true;
  }
  if (kind == Kind::kSync) return true;
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
