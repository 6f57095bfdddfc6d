// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace tintype::test {

/// Resident memory in MiB of all of a process's mappings but those of the guest's size.
double resident_beyond_guest_mib(pid_t pid, std::uint64_t guest_bytes);

}  // namespace tintype::test
