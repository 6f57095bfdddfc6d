// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace tintype {

/// ioctl(2), repeated on EINTR; throws std::system_error that names the request. Not for KVM_RUN, which EINTR is meant
/// to leave.
int kvm_ioctl(int fd, unsigned long request, void* argument, std::string_view name);
int kvm_ioctl(int fd, unsigned long request, unsigned long argument, std::string_view name);

}  // namespace tintype
