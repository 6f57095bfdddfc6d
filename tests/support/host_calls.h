// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

namespace tintype {

/// Shows a test each call by which files are changed, named, or made to last, while one exists. (The program's own
/// pwrite, pwritev, fallocate, fsetxattr, linkat, fsync and fdatasync take the place of the library's.) What the
/// watcher itself calls is not shown, unless to another one that it makes for its own thread.
class HostCalls {
 public:
  enum class Moment : std::uint8_t {
    kBeforeWrite,
    kAfterWrite,
    kBeforeDataSync,
    kAfterDataSync,
    kBeforeSync,
    kAfterSync
  };
  /// `file`: or the directory that is synced. A name, or an attribute, is a write. Before a call: the errno that it is
  /// to fail with, or 0. (After it the answer is nothing to anybody.)
  using Watcher = std::function<int(Moment moment, const std::filesystem::path& file)>;

  enum class Of : std::uint8_t {
    kThisThread,
    kEveryThread,  ///< one call at a time: while the watcher looks, no file changes. One such object at a time
  };
  explicit HostCalls(Watcher watcher, Of whom = Of::kThisThread);
  ~HostCalls();
  HostCalls(const HostCalls&) = delete;
  HostCalls& operator=(const HostCalls&) = delete;

 private:
  const Of whom_;
};

}  // namespace tintype
