// SPDX-License-Identifier: Apache-2.0
#include "vmm/kvm/ioctl.h"

#include <sys/ioctl.h>

#include "vmm/base/error.h"

namespace tintype {

namespace {

template <typename Argument>
int repeated_ioctl(int fd, unsigned long request, Argument argument, std::string_view name) {
  for (;;) {
    const int result = ::ioctl(fd, request, argument);
    if (result >= 0) return result;
    if (errno != EINTR) throw_errno("{}", name);
  }
}

}  // namespace

int kvm_ioctl(int fd, unsigned long request, void* argument, std::string_view name) {
  return repeated_ioctl(fd, request, argument, name);
}

int kvm_ioctl(int fd, unsigned long request, unsigned long argument, std::string_view name) {
  return repeated_ioctl(fd, request, argument, name);
}

}  // namespace tintype
