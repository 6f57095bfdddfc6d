// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vmm/base/progress.h"

namespace tintype {

/// Deletes old checkpoints on a thread of its own: taking what others need into those can take longer than a beat. All
/// that has come together meanwhile is deleted at once, so that a long queue costs little more than a short one.
class SeriesPruner {
 public:
  using Ids = std::vector<std::uint64_t>;
  /// Deletes those that are still there, ascending. The sink throws where that is to end. Owns all that it uses: it may
  /// outlive the pruner.
  using Remove = std::function<void(const Ids& ids, const ProgressSink& progress)>;

  explicit SeriesPruner(Remove remove);
  /// Ends soon: a thread whose host does not answer is left behind.
  ~SeriesPruner();
  SeriesPruner(const SeriesPruner&) = delete;
  SeriesPruner& operator=(const SeriesPruner&) = delete;

  void remove(std::uint64_t id);
  /// Those that wait to be deleted, and those that are being so. Without those that could not be.
  std::size_t backlog() const;
  /// Waits until all is deleted, or somebody cancels it, which is asked for again and again. Returns what is not.
  Ids finish(const std::function<bool()>& cancelled);

 private:
  struct Shared;
  void wait_for_end(const std::function<bool()>& stop);

  const std::shared_ptr<Shared> shared_;
};

/// From a repository, which is opened when the first one goes.
SeriesPruner::Remove remove_from(const std::string& repository);

}  // namespace tintype
