// SPDX-License-Identifier: Apache-2.0
#pragma once

// A virtual disk is a stack: a raw base image and zero or more redo logs on top. Guest writes go to the topmost
// ("active") layer; reads find each sector in the highest layer that holds it. Capturing the state of an instant
// pushes a fresh log, so that everything below is frozen; when the copy is done the frozen logs are committed to
// the base while the guest runs.

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "devices/block/commit.h"
#include "devices/block/disk_core.h"
#include "devices/block/disk_options.h"
#include "devices/block/frozen_stack.h"
#include "devices/block/lasting_image.h"
#include "devices/block/switch_preparation.h"
#include "vmm/base/freezable_disk.h"

namespace tintype {

/// A virtual disk, as its device sees it (BlockBackend) and as a checkpoint does (FreezableDisk). Puts together the
/// parts: DiskCore does the I/O, Committer makes the stack short, FrozenStack is what a checkpoint reads.
class VirtualDisk final : public BlockBackend, public FreezableDisk {
 public:
  /// Opens and locks the image (OFD lock: exclusive, shared where read-only), commits what a killed machine left in a
  /// redo log beside it, and refuses with one clear sentence: no such file, not a regular file or block device, empty,
  /// not a multiple of 512, in use, uncommitted updates of an undoable disk. A nonpersistent disk does not change the
  /// image, and shares it with others that do not.
  explicit VirtualDisk(const DiskOptions& options, const DiskTuning& tuning = {});
  ~VirtualDisk() override;
  VirtualDisk(const VirtualDisk&) = delete;
  VirtualDisk& operator=(const VirtualDisk&) = delete;

  /// Of a disk that is being restored: its image is made whole in the background, from here on.
  void start_completing();

  std::uint64_t size() const noexcept override { return base_->size(); }
  bool read_only() const noexcept override { return options_.read_only; }
  std::uint32_t block_size() const noexcept override { return options_.behaviour.block_size; }
  std::string serial() const override;
  void submit(BlockRequest& request) noexcept override { core_->submit(request); }
  void kick() noexcept override { core_->kick(); }
  int completion_fd() const noexcept override { return core_->completion_fd(); }
  void complete() noexcept override { core_->complete(); }
  bool poll() noexcept override { return core_->poll(); }

  const std::string& id() const noexcept override { return options_.id; }
  std::uint64_t allocated_bytes() const override;
  void changes_saved() noexcept override;
  void is_as_saved() override { core_->forget_changes(); }
  std::uint64_t changed_bytes() const override;
  std::function<void()> switch_preparation() override;
  void cancel_switch() noexcept override;
  std::unique_ptr<FrozenDisk> switch_to_fresh_log() noexcept override;
  void start_commit(CommitDone on_done = {}) noexcept override;

  // Going back. The machine is paused and the device frozen.
  /// Until the host has finished all that is in flight; the device is told of none of it. Throws tintype::Error where
  /// that takes too long.
  void wait_until_idle();
  /// The fresh log that going back to this frozen disk may take, ahead of wait_until_idle(): requests that wait for
  /// room fail there, and must not where there is no room to go back. Throws tintype::Error then; nothing has changed.
  void prepare_return(const FrozenDisk& frozen);
  void cancel_return() noexcept;
  /// The disk is again as this frozen one shows it, which is kept: what was written since is dropped, logs and all.
  /// Idle, after prepare_return(). False where nothing was.
  bool go_back_to(const FrozenDisk& frozen);

  // Becoming another disk: after prepare_switch(), in two steps. The machine is paused and the device frozen.
  /// Idle. Writes all that differs to the fresh log, which does not count yet. True where anything does. Throws
  /// tintype::Error or std::system_error; cancel_switch() leaves the disk as it was.
  bool prepare_contents(DiskContents& wanted);
  /// The log counts, and is the disk's: decided with one sector. Throws std::system_error.
  void take_contents();

  // A machine that is suspended. Its CPUs are paused.
  /// Everything that the guest was told is written lies in the image (or in the log that the mode keeps), durably, and
  /// the image says whose it is. Throws tintype::Error; suspend_failed() takes that back.
  void suspend(const std::string& id, const std::filesystem::path& state);
  /// Throws tintype::Error where suspend() would, for what is known beforehand.
  void check_suspendable() const;
  void suspend_failed() noexcept;
  /// The machine goes on, in two steps: what the image says counts only as long as the saved state is there; then it
  /// says nothing.
  void begin_resume();
  void end_resume() noexcept;

  const DiskOptions& options() const noexcept { return options_; }
  /// Number of redo logs above the base at this moment: at least one where the mode keeps it.
  std::size_t log_count() const noexcept { return core_->stack()->logs.size(); }

  /// The file system of the redo logs is full, and requests of the guest wait until there is room.
  bool waits_for_room() const noexcept { return core_->waits_for_room(); }

  // Where errors are to stop the machine.
  /// Called, on any thread and from inside the disk, when a request begins to wait because the host could not do it.
  void set_on_stop(std::function<void()> on_stop) { core_->set_on_stop(std::move(on_stop)); }
  /// The errno for which requests wait; 0 where none does.
  int stopped_by() const noexcept { return core_->stopped_by(); }
  /// They do, and nobody has had them go on.
  bool waits_for_user() const noexcept { return core_->waits_for_user(); }
  /// The same as a text; empty where none does.
  std::string trouble() const;
  /// That, or why the image of a restored disk cannot be made whole, for which no request waits.
  std::string problem() const;
  /// Tries that again.
  void complete_now() noexcept;
  /// Try them again.
  void go_on() noexcept { core_->go_on(); }

  /// The machine has stopped: no more submit(). Waits for I/O in flight and for committing, commits what is left so
  /// that the base is whole and no log remains (persistent) or one is left for the user to decide about (undoable),
  /// flushes, unlocks. Throws what went wrong; the log is kept then.
  void close();

 private:
  const std::shared_ptr<Committer>& committer();
  bool is_nonpersistent() const noexcept { return options_.mode == DiskMode::kNonpersistent; }
  std::unique_ptr<IoEngine> make_engine(const DiskTuning& tuning);
  bool rests_on_absent() const noexcept;
  std::shared_ptr<const LayerStack> above_incomplete(const LayerStack& image);
  std::vector<std::shared_ptr<RedoLog>> logs_above(const FrozenDisk& frozen) const;
  PreparedSwitch& prepared();
  void leave_preparation() noexcept;
  bool host_hangs() noexcept;
  bool is_suspendable() const noexcept { return !read_only() && !is_nonpersistent(); }
  void settle_note() noexcept;
  std::string commit_and_wait(int limit_ms);
  void commit_what_is_left();
  void flush_and_wait();
  void use_direct_io(const LayerStack& stack);
  void leave_kept_log();
  void leave_unused();
  void forget_unsaved() noexcept;

  DiskOptions options_;
  std::shared_ptr<RawFile> base_;
  std::shared_ptr<CommitGate> gate_;
  std::unique_ptr<CommitHold> incomplete_;     ///< until the image is whole
  std::shared_ptr<RedoLog> log_to_return_to_;  ///< between prepare_return() and go_back_to()
  bool completing_ = false;
  std::shared_ptr<LastingImage> lasting_;
  std::shared_ptr<DiskCore> core_;
  std::shared_ptr<SwitchPreparation> preparation_;  ///< the checkpoint thread's, as are the next; the last, if any
  std::shared_ptr<const ChangedBlocks> unsaved_changes_;  ///< that the last frozen disk showed
  std::atomic<std::uint64_t> unsaved_bytes_ = 0;          ///< of them
  std::shared_ptr<Committer> committer_;                  ///< made when it is first needed
};

}  // namespace tintype
