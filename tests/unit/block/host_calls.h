// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>

namespace tintype {

/// Shows a test each call by which this thread changes files, or makes them last, while one exists. (The program's own
/// pwrite, fsync and fdatasync take the place of the library's.) What is called meanwhile is not shown.
class HostCalls {
 public:
  enum class Moment : std::uint8_t { kBeforeWrite, kBeforeSync, kAfterSync };
  /// `file`: or the directory that is synced.
  using Watcher = std::function<void(Moment moment, const std::filesystem::path& file)>;

  explicit HostCalls(Watcher watcher);
  ~HostCalls();
  HostCalls(const HostCalls&) = delete;
  HostCalls& operator=(const HostCalls&) = delete;
};

}  // namespace tintype
