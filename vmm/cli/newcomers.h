// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <filesystem>
#include <map>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// Tells when machines may have come to the runtime directories (inotify(7)), so that nobody has to look again and
/// again.
class Newcomers {
 public:
  Newcomers();

  /// Readable when one may have come.
  int fd() const noexcept { return inotify_.get(); }
  /// Takes note of all that fd() told, and of directories that have come since.
  void take();
  /// How long to wait for fd() at most: a directory that is not there yet is looked for now and then.
  std::chrono::milliseconds patience() const noexcept;

 private:
  UniqueFd inotify_;
  std::map<std::filesystem::path, int> watched_;
  bool all_there_ = false;
};

}  // namespace tintype
