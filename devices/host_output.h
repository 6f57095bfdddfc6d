// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// Writes to a descriptor that may be anything and is shared with other programs, without ever blocking on
/// its reader and without making it non-blocking for those others. One thread.
class HostOutput {
 public:
  /// `fd` stays the caller's. `name` is for messages.
  HostOutput(int fd, std::string name);

  /// Poll this one for POLLOUT.
  int fd() const noexcept { return own_ ? own_.get() : shared_fd_; }
  /// How many bytes are done with: written, or lost for good (reported once). 0: it would block.
  std::size_t write(std::span<const std::uint8_t> bytes) noexcept;

 private:
  enum class Kind : std::uint8_t {
    kPlain,    ///< a regular file or the like: does not block
    kOwn,      ///< a pipe or terminal, opened again for ourselves, non-blocking
    kSocket,   ///< has non-blocking calls of its own
    kCareful,  ///< a pipe or terminal that cannot be opened again: small writes, and only when poll says so
  };
  Kind classify() noexcept;
  std::ptrdiff_t write_some(std::span<const std::uint8_t> bytes) noexcept;
  void report_failure(int error) noexcept;

  int shared_fd_;
  std::string name_;
  UniqueFd own_;
  Kind kind_;
  bool failed_ = false;
};

}  // namespace tintype
