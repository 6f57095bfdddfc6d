// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "checkpoint/backup/prune.h"

namespace tintype {

/// Prunes a repository that many checkpoints come to, beside whoever brings them: once a second at most, and on a
/// thread that leaves the CPUs to others. What goes wrong is tried again at the next one, and noted in the log.
class Housekeeper {
 public:
  /// `may`: asked before each time; false: not now.
  Housekeeper(std::filesystem::path repository, PruneOptions options, std::function<bool()> may = {});
  ~Housekeeper();
  Housekeeper(const Housekeeper&) = delete;
  Housekeeper& operator=(const Housekeeper&) = delete;

  /// Something came.
  void ask();
  /// No more; what is under way ends soon, and is not waited for. Any thread.
  void stop() noexcept;

 private:
  using Clock = std::chrono::steady_clock;
  void work() noexcept;
  bool wait_until_asked();
  void throw_if_ending() const;

  const std::filesystem::path repository_;
  const PruneOptions options_;
  const std::function<bool()> may_;
  std::string problem_;  ///< the last one

  mutable std::mutex mutex_;  // guards the next two
  bool asked_ = false, ending_ = false;
  std::condition_variable changed_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace tintype
