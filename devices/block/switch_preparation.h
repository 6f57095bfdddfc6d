// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "devices/block/changed_blocks.h"
#include "devices/block/commit.h"
#include "devices/block/disk_core.h"
#include "devices/block/disk_options.h"
#include "devices/block/frozen_stack.h"
#include "devices/block/lasting_image.h"

namespace tintype {

/// All that a switch needs, made before the pause.
struct PreparedSwitch {
  std::shared_ptr<const LayerStack> stack;
  std::unique_ptr<FrozenStack> frozen;
  std::shared_ptr<ChangedBlocks> changes;
};

/// A fresh log for what lies below, as the disk's mode wants it; see RedoLog::create().
std::shared_ptr<RedoLog> make_fresh_log(const DiskOptions& options, const LayerStack& below,
                                        const std::function<void()>& before_name = {});

/// How a switch is prepared: by a thread that may be left behind in the middle of it, where the host hangs. So it owns
/// all that it works on, and knows when nobody wants its result any more. While it is being made no log is committed.
class SwitchPreparation {
 public:
  /// What it takes of its disk.
  struct Disk {
    std::shared_ptr<DiskCore> core;
    std::shared_ptr<CommitGate> gate;
    std::shared_ptr<LastingImage> lasting;
    std::weak_ptr<Committer> committer;
    DiskOptions options;
  };
  /// `previous` was left behind, or null.
  SwitchPreparation(Disk disk, std::shared_ptr<SwitchPreparation> previous);
  SwitchPreparation(const SwitchPreparation&) = delete;
  SwitchPreparation& operator=(const SwitchPreparation&) = delete;

  /// May block. Throws tintype::Error or std::system_error; nothing has changed then. Undoes what it has done where it
  /// was cancelled meanwhile.
  void make();

  /// What has been made; null where nothing has, yet. The disk's thread.
  PreparedSwitch* made() noexcept;
  PreparedSwitch take();
  /// Nobody wants it any more: it goes, at once or when the host has let go of it.
  void cancel() noexcept;

  /// It has ended, in whatever way, or is never going to begin. True at once or within `patience`.
  bool has_ended(std::chrono::milliseconds patience = {}) noexcept;
  /// The image is about to be somebody else's: what is still being made stays as it is, as if we had been killed.
  void leave() noexcept;

 private:
  PreparedSwitch prepare();
  void await_short_stack() const;
  void await_previous();
  void throw_if_unwanted();
  bool is_left() noexcept;
  void undo(PreparedSwitch& prepared) noexcept;
  void end() noexcept;

  const Disk disk_;
  std::shared_ptr<SwitchPreparation> previous_;  ///< its thread's

  std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  std::optional<PreparedSwitch> made_;
  bool begun_ = false, ended_ = false, cancelled_ = false, left_ = false;
};

}  // namespace tintype
