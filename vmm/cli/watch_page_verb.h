// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace tintype {

class Output;
class VerbOptions;

/// `tintype watch NAME --listen ADDR`: a page that shows a machine live, and drives it.
class WatchPageOptions {
 public:
  void declare(VerbOptions& options);
  bool is_wanted() const noexcept { return listen_ || repository_; }
  /// Serves until the machine ends, or SIGINT, SIGTERM or SIGHUP. Throws UsageError, tintype::Error.
  int run(const std::string& machine, std::chrono::milliseconds every, Output& output) const;

 private:
  std::optional<std::string> listen_, repository_;
};

}  // namespace tintype
