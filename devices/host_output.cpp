// SPDX-License-Identifier: Apache-2.0
#include "devices/host_output.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "vmm/base/error.h"
#include "vmm/base/log.h"

namespace tintype {
namespace {

constexpr std::size_t kCarefulBytes = 256;  // fits whenever poll reports a terminal or a pipe writable

}  // namespace

HostOutput::HostOutput(int fd, std::string name) : shared_fd_(fd), name_(std::move(name)), kind_(classify()) {}

// O_NONBLOCK belongs to the open file, which a shell and other programs share with us, so the file is opened
// once more. Not so a regular file: the new one would have a position of its own, and overwrite what others
// write.
HostOutput::Kind HostOutput::classify() noexcept {
  struct stat info {};
  if (::fstat(shared_fd_, &info) != 0) return Kind::kPlain;
  if (S_ISSOCK(info.st_mode)) return Kind::kSocket;
  if (!S_ISFIFO(info.st_mode) && ::isatty(shared_fd_) != 1) return Kind::kPlain;
  char path[32];
  *fmt::format_to_n(path, sizeof path - 1, "/proc/self/fd/{}", shared_fd_).out = '\0';
  own_.reset(::open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  return own_ ? Kind::kOwn : Kind::kCareful;
}

std::ptrdiff_t HostOutput::write_some(std::span<const std::uint8_t> bytes) noexcept {
  switch (kind_) {
    case Kind::kSocket:
      return ::send(shared_fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    case Kind::kOwn:
      return ::write(own_.get(), bytes.data(), bytes.size());
    case Kind::kPlain:
      return ::write(shared_fd_, bytes.data(), bytes.size());
    case Kind::kCareful:
      break;
  }
  pollfd polled{.fd = shared_fd_, .events = POLLOUT, .revents = 0};
  if (::poll(&polled, 1, 0) == 0) {
    errno = EAGAIN;
    return -1;
  }
  return ::write(shared_fd_, bytes.data(), std::min(bytes.size(), kCarefulBytes));
}

std::size_t HostOutput::write(std::span<const std::uint8_t> bytes) noexcept {
  for (;;) {
    const std::ptrdiff_t written = write_some(bytes);
    if (written >= 0) {
      failed_ = false;
      return static_cast<std::size_t>(written);
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return 0;
    report_failure(errno);
    return bytes.size();
  }
}

// A full disk or a reader that has gone does not stop the guest; every later write is tried again.
void HostOutput::report_failure(int error) noexcept {
  if (std::exchange(failed_, true)) return;
  try {
    log_note("serial output to {} is being lost: {}", name_, errno_text(error));
  } catch (...) {  // out of memory: the note is the smaller loss
  }
}

}  // namespace tintype
