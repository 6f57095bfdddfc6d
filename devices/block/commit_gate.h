// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>

namespace tintype {

/// Decides when the committing thread may touch the layers: never from prepare_switch() until the FrozenDisk of
/// that switch is gone.
class CommitGate {
 public:
  /// Committing thread: waits until there is work and nobody holds the gate; false when it is to end.
  bool begin_step();
  /// The step is over; `finished` where there is no more work.
  void end_step(bool finished) noexcept;
  /// There is work.
  void want() noexcept;
  /// Somebody keeps the committing thread from working.
  bool is_held() const noexcept;
  void stop() noexcept;

 private:
  friend class CommitHold;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int holds_ = 0;
  unsigned wanted_ = 0;       ///< counts calls of want()
  unsigned wanted_seen_ = 0;  ///< as it was when the step under way began
  unsigned satisfied_ = 0;    ///< up to here there is no more work
  bool stepping_ = false;
  bool stopping_ = false;
};

/// While one exists, no layer below the active log changes.
class CommitHold {
 public:
  /// Waits for the step under way, which is short unless the host's disk is slow. Throws tintype::Error after a minute.
  explicit CommitHold(std::shared_ptr<CommitGate> gate);
  ~CommitHold();
  CommitHold(const CommitHold&) = delete;
  CommitHold& operator=(const CommitHold&) = delete;

 private:
  std::shared_ptr<CommitGate> gate_;
};

}  // namespace tintype
