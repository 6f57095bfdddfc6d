// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// A machine in the background. The process forks while it has one thread; the child becomes the machine, in a session
/// of its own, and the parent waits until the child says that the machine runs, or why it does not.
class Detachment {
 public:
  /// Forks. Both processes return from here.
  Detachment();

  bool is_parent() const noexcept { return child_ != 0; }

  // The parent.
  int child() const noexcept { return child_; }
  /// Returns when the machine runs; throws the child's error (UsageError or Error) where it does not.
  void wait_until_running();

  // The child.
  /// The machine runs: stdin and stdout become /dev/null, stderr the file `log`, and the parent is told.
  void report_running(const std::filesystem::path& log);
  /// The machine failed to start.
  void report_failure(const std::string& sentence, bool wrong_usage) noexcept;

 private:
  void report(const std::string& message) noexcept;

  UniqueFd pipe_;  ///< the parent's end or the child's
  int child_ = 0;
};

}  // namespace tintype
