// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "devices/block/commit_gate.h"
#include "devices/block/disk_core.h"
#include "vmm/base/freezable_disk.h"

namespace tintype {

/// The layers that lie below the active one since a switch. They are read with plain pread(), and their
/// indexes without a lock: once the old epoch has landed nothing in them changes until the hold on committing is
/// let go.
class FrozenStack final : public FrozenDisk {
 public:
  /// `fresh` is the log above (null for a read-only disk).
  FrozenStack(std::shared_ptr<DiskCore> core, std::shared_ptr<const LayerStack> stack, std::shared_ptr<RedoLog> fresh,
              std::shared_ptr<CommitGate> gate);

  std::uint64_t size() const noexcept override { return stack_->base->size(); }
  void wait_for_old_io(int limit_ms, const WhileWaiting& meanwhile) override;
  void read(std::uint64_t offset, std::span<std::byte> into) override;
  std::optional<Range> next_data(std::uint64_t offset) override;
  std::optional<Range> next_change(std::uint64_t offset) override;

  // For the disk, at the switch.
  void set_epoch(std::uint64_t epoch) noexcept { epoch_ = epoch; }
  void set_changes(std::shared_ptr<const ChangedBlocks> changes) noexcept { changes_ = std::move(changes); }
  DiskCore::Leftovers& leftovers() noexcept { return leftovers_; }
  const std::shared_ptr<const LayerStack>& stack() const noexcept { return stack_; }
  RedoLog* fresh() const noexcept { return fresh_.get(); }
  /// The image is durably as the stack has it, its time as well.
  bool base_is_settled() const noexcept { return base_is_settled_; }

 private:
  const CommitHold hold_;
  const std::shared_ptr<DiskCore> core_;
  const std::shared_ptr<const LayerStack> stack_;
  const std::shared_ptr<RedoLog> fresh_;
  std::uint64_t epoch_ = 0;
  std::atomic<bool> base_is_settled_ = false;
  std::shared_ptr<const ChangedBlocks> changes_;
  DiskCore::Leftovers leftovers_;
};

}  // namespace tintype
