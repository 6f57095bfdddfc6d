// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>

#include "checkpoint/capture/cancellation.h"
#include "checkpoint/store/checkpoint_target.h"

namespace tintype {

/// How long somebody waits for a destination that does not answer.
struct DestinationPatience {
  std::chrono::milliseconds guest = std::chrono::seconds(10);  ///< of a guest that stands still meanwhile
  /// Of a checkpoint that was cancelled: for the removal of what it has written, or for its last step.
  std::chrono::milliseconds cancelled = std::chrono::milliseconds(500);
};

/// Where a checkpoint goes, behind threads of its own: the only ones that wait for the destination. A disk that is
/// slow, a file system that hangs: whatever becomes of those threads, the one that takes the checkpoint can leave them.
///
/// So work that is handed over owns all that it touches. Given up on in the middle, it goes on by itself until the host
/// lets go of it; the last thread removes what was written, and ends; or ends with the process. Work that has not been
/// begun then never is.
///
/// One thread hands work over. What work throws comes out of the next call; nothing that was handed over after that
/// work is done any more.
class Destination {
 public:
  using Open = std::function<std::unique_ptr<CheckpointTarget>()>;
  using Work = std::function<void(CheckpointTarget&)>;
  using GuestWaits = std::function<bool()>;

  /// Returns when the target is open, and `first` is done with it; throws what they throw. At most so many threads.
  Destination(Open open, Work first, const Cancellation& cancellation, DestinationPatience patience = {},
              unsigned threads = 2);
  /// What has not been sealed is removed; waits for that, unless the destination hangs.
  ~Destination();
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;

  /// Returns when there is room for one more. The work is done beside others that were put. Throws Cancelled; and
  /// where `guest_waits` has been true for longer than a guest should stand still, and the destination took nothing.
  void put(Work work, const GuestWaits& guest_waits = {});
  /// The same, for work that comes after all before it and before all after it.
  void put_alone(Work work, const GuestWaits& guest_waits = {});
  /// The same; returns when it is done, and so is all before it.
  void run(Work work);
  /// The last works: `seal` makes all before it valid. Cancelled before that has begun, it never does. Cancelled later,
  /// it is given a moment to end as it likes, so that what is called cancelled does not appear afterwards, unless the
  /// destination hangs.
  void finish(Work ready, Work seal);

 private:
  struct Shared;
  struct Item;
  using Lock = std::unique_lock<std::mutex>;
  using Condition = std::function<bool(const Shared&)>;

  void hand_over(Item item, const GuestWaits& guest_waits);
  void wait_until(Lock& lock, const Condition& condition, const GuestWaits& guest_waits = {});
  void wait_until_done();
  void add_thread(Lock& lock);
  void end() noexcept;

  const Cancellation& cancellation_;
  const DestinationPatience patience_;
  const unsigned threads_;
  std::size_t bulk_ = 0;  ///< works that were put
  bool given_up_ = false;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace tintype
