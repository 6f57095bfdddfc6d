// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a checkpoint knows of a disk. It stands beside Stateful: disks implement it, checkpoints use it, and neither
// knows the other.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "vmm/base/disk_contents.h"

namespace tintype {

/// A disk as it was at one instant, readable while the guest goes on writing. While it exists, what it shows stands
/// still.
class FrozenDisk : public DiskContents {
 public:
  /// Called again and again by whoever waits; what it throws ends the waiting.
  using WhileWaiting = std::function<void()>;
  /// Waits until I/O that was in flight at the instant of freezing has landed (at most `limit_ms`; throws
  /// tintype::Error afterwards). Must have returned before read() and next_data() are called, which any thread may but
  /// the disk's I/O thread.
  virtual void wait_for_old_io(int limit_ms, const WhileWaiting& meanwhile = {}) = 0;
  /// The next range at or after `offset` that was written between two instants: that of the frozen disk that was last
  /// saved (FreezableDisk::changes_saved) and this one's; nothing where there is none. Whole blocks of 4096 bytes, cut
  /// off at the end of the disk; an `offset` inside a block means all of it. May say more than what changed, never
  /// less. Everything where none was saved since the disk was opened, unless it is_as_saved(): nobody knows what it was
  /// before, so such a disk is copied with the help of next_data().
  virtual std::optional<Range> next_change(std::uint64_t offset) = 0;
};

/// A disk that can freeze: a fresh log takes what the guest writes from now on, and what lies below stands still. In
/// three steps, of which only the second is inside the pause. All on the thread that takes the checkpoint.
class FreezableDisk {
 public:
  virtual ~FreezableDisk() = default;
  virtual const std::string& id() const noexcept = 0;  ///< "disk0": unique within a machine

  /// About how many bytes of it hold data; at most its size. Guest running.
  virtual std::uint64_t allocated_bytes() const = 0;

  /// What the frozen disk of the last switch showed is kept for good (its checkpoint is sealed): what changes from its
  /// instant on is all that the next one needs to show. To be called after that switch and before the next is prepared,
  /// also when the FrozenDisk is gone. Without this call the next one shows its changes too, so that a checkpoint that
  /// fails loses none.
  virtual void changes_saved() noexcept = 0;
  /// It was written from a checkpoint, and nobody has written to it since: nothing has changed yet, though nothing was
  /// saved from here. To be called before the machine runs.
  virtual void is_as_saved() = 0;
  /// About how many bytes next_change() would show if the disk were frozen now. Guest running; any thread.
  virtual std::uint64_t changed_bytes() const = 0;

  /// 1. Guest running: what makes the fresh log on disk, for any thread to call, once. It may block. It throws where it
  /// cannot (nothing has changed then). It owns all that it touches, so whoever waits for it may leave it behind with
  /// cancel_switch(), and it may outlive the disk. Throws what is known beforehand.
  virtual std::function<void()> switch_preparation() = 0;
  void prepare_switch() { switch_preparation()(); }
  /// Undoes step 1 where the capture fails before step 2, also where it failed. What is still being made is undone when
  /// the host has let go of it.
  virtual void cancel_switch() noexcept = 0;
  /// 2. Machine paused and the device frozen: the fresh log becomes the active layer. A pointer swap. Requests in
  /// flight belong to what is frozen, and land there.
  virtual std::unique_ptr<FrozenDisk> switch_to_fresh_log() noexcept = 0;

  /// An empty text, or what went wrong: the logs are kept then and still read through, so that nothing is lost.
  using CommitDone = std::function<void(const std::string& error)>;
  /// 3. The FrozenDisk is gone: starts committing the frozen layers, in the background. `on_done` is called from
  /// there; without it a failure is noted in the log, and the next switch or the end of the machine tries again.
  virtual void start_commit(CommitDone on_done = {}) noexcept = 0;
};

}  // namespace tintype
