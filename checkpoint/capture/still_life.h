// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// This process's memory as it was at one instant: a child that does nothing but keep it. The kernel's copy on write
/// sees to it that what either of the two writes is not seen by the other.
///
/// The child calls nothing but what is safe between a fork and its end in a process with many threads; it closes every
/// descriptor, so that it holds no lock, no socket and no KVM; and it ends when this object goes, or this process.
class StillLife {
 public:
  /// Throws tintype::Error where the host has no room for it.
  StillLife();
  ~StillLife();
  StillLife(const StillLife&) = delete;
  StillLife& operator=(const StillLife&) = delete;

  /// Copies what was at `from`, in this process, at the instant. Throws tintype::Error.
  void read(std::span<const std::byte> from, std::byte* into);

 private:
  void open_memory();
  ssize_t read_some(std::span<const std::byte> from, std::byte* into) const;

  UniqueFd alive_;  ///< the child ends when this is closed
  pid_t child_ = -1;
  UniqueFd memory_;       ///< the child's, by way of /proc: open from the first read on
  bool by_call_ = false;  ///< there is no such way
};

}  // namespace tintype
