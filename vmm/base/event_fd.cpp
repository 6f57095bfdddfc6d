// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/event_fd.h"

#include <sys/eventfd.h>

#include <cstdint>

#include "vmm/base/error.h"

namespace tintype {

EventFd::EventFd() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!fd_) throw_errno("eventfd");
}

void EventFd::signal() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(fd_.get(), &one, sizeof one);  // EAGAIN: it rings already
}

bool EventFd::take() noexcept {
  std::uint64_t count = 0;
  return ::read(fd_.get(), &count, sizeof count) == sizeof count;
}

}  // namespace tintype
