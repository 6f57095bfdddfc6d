// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace tintype {

/// A socket that does not block, between two buffers: many small records go by few system calls, at both ends. The
/// socket stays the caller's. One thread at a time.
class BufferedSocket {
 public:
  explicit BufferedSocket(int socket);

  /// Keeps it until flush(). As write(2) does it: -1 and errno where there is no memory.
  ssize_t put(std::span<const std::byte> bytes) noexcept;
  /// As read(2) does it: what has come, at most that many; 0 at the end; -1 and EAGAIN where nothing has come.
  ssize_t take(std::span<std::byte> into) noexcept;

  /// Sends what it can of what was put; false where some is left, until the other side has taken more. Throws
  /// tintype::Error where the connection is broken.
  bool flush();
  /// What was put and not sent is more than is worth to be kept.
  bool is_full() const noexcept;
  /// Waits that long until something can be taken; or the other side has ended.
  bool has_something(int milliseconds) const noexcept;

 private:
  const int socket_;
  std::vector<std::byte> out_;
  std::size_t sent_ = 0;  ///< of that
  const std::unique_ptr<std::byte[]> in_;
  std::size_t begin_ = 0, end_ = 0;  ///< of what has come and was not taken
};

}  // namespace tintype
