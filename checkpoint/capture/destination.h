// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "checkpoint/capture/cancellation.h"
#include "checkpoint/store/checkpoint_target.h"

namespace tintype {

/// How long somebody waits for a destination that does not answer.
struct DestinationPatience {
  std::chrono::milliseconds guest = std::chrono::seconds(10);  ///< of a guest that stands still meanwhile
  /// Of a checkpoint that was cancelled: for the removal of what it has written, or for its last step.
  std::chrono::milliseconds cancelled = std::chrono::milliseconds(500);
};

/// Where a checkpoint goes, behind a thread of its own: the only one that waits for the destination. A disk that is
/// slow, a file system that hangs: whatever becomes of that thread, the one that takes the checkpoint can leave it.
///
/// So work that is handed over owns all that it touches. Given up on in the middle, it goes on by itself until the host
/// lets go of it, removes what it has written, and ends; or ends with the process.
class Destination {
 public:
  using Open = std::function<std::unique_ptr<CheckpointTarget>()>;
  using Work = std::function<void(CheckpointTarget&)>;

  /// Returns when the target is open; throws what that throws.
  Destination(Open open, const Cancellation& cancellation, DestinationPatience patience = {});
  /// What has not been sealed is removed; waits for that, unless the destination hangs.
  ~Destination();
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;

  /// Returns when the work is done; throws what it throws, or Cancelled; with `guest_waits`, also where that has been
  /// true for longer than a guest should stand still, and the work is not done.
  void run(Work work, const std::function<bool()>& guest_waits = {});
  /// The last work, which makes all before it valid. Cancelled after it has begun, it is given a moment to end as it
  /// likes, so that what is called cancelled does not appear afterwards, unless the destination hangs.
  void finish(Work work);

 private:
  struct Shared;
  static void serve(const std::shared_ptr<Shared>& shared) noexcept;
  void hand_over(std::function<void(Shared&)> work, const std::function<bool()>& guest_waits,
                 std::chrono::milliseconds when_cancelled = std::chrono::milliseconds(0));
  void end() noexcept;

  const Cancellation& cancellation_;
  const DestinationPatience patience_;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace tintype
