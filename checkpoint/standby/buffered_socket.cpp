// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/standby/buffered_socket.h"

#include <poll.h>

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "vmm/base/error.h"

namespace tintype {
namespace {

/// As much as a socket takes at once, more or less.
constexpr std::size_t kBufferBytes = 256 << 10;

}  // namespace

BufferedSocket::BufferedSocket(int socket)
    : socket_(socket), in_(std::make_unique_for_overwrite<std::byte[]>(kBufferBytes)) {}

ssize_t BufferedSocket::put(std::span<const std::byte> bytes) noexcept {
  try {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    return static_cast<ssize_t>(bytes.size());
  } catch (const std::bad_alloc&) {
    errno = ENOMEM;
    return -1;
  }
}

ssize_t BufferedSocket::take(std::span<std::byte> into) noexcept {
  if (begin_ == end_) {
    const ssize_t got = ::recv(socket_, in_.get(), kBufferBytes, MSG_DONTWAIT);
    if (got <= 0) return got;
    begin_ = 0;
    end_ = static_cast<std::size_t>(got);
  }
  const std::size_t count = std::min(into.size(), end_ - begin_);
  std::memcpy(into.data(), in_.get() + begin_, count);
  begin_ += count;
  return static_cast<ssize_t>(count);
}

bool BufferedSocket::flush() {
  while (sent_ < out_.size()) {
    const ssize_t count = ::send(socket_, out_.data() + sent_, out_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
    if (count < 0 && errno != EINTR) throw Error("the connection broke: {}", errno_text(errno));
    sent_ += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
  }
  out_.clear();
  sent_ = 0;
  return true;
}

bool BufferedSocket::is_full() const noexcept { return out_.size() >= kBufferBytes; }

bool BufferedSocket::has_something(int milliseconds) const noexcept {
  if (begin_ != end_) return true;
  pollfd entry{socket_, POLLIN, 0};
  return ::poll(&entry, 1, milliseconds) == 1;
}

}  // namespace tintype
