// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "devices/block/disk_core.h"
#include "devices/block/fold.h"
#include "devices/block/frozen_stack.h"
#include "devices/block/virtual_disk.h"

namespace tintype {

/// What tests turn.
struct DiskTuning {
  IoEngineKind engine = IoEngineKind::kAuto;
  std::function<std::unique_ptr<IoEngine>()> make_engine{};  ///< instead of `engine`
};

/// A virtual disk of a raw base image and redo logs. Puts together the parts: DiskCore does the I/O, Folder
/// makes the stack short, FrozenStack is what a checkpoint reads.
class StackedDisk final : public VirtualDisk {
 public:
  explicit StackedDisk(const DiskOptions& options, const DiskTuning& tuning = {});
  ~StackedDisk() override;
  StackedDisk(const StackedDisk&) = delete;
  StackedDisk& operator=(const StackedDisk&) = delete;

  std::uint64_t size() const noexcept override { return base_->size(); }
  bool read_only() const noexcept override { return options_.read_only; }
  std::string serial() const override;
  void submit(BlockRequest& request) noexcept override { core_->submit(request); }
  void kick() noexcept override { core_->kick(); }
  int completion_fd() const noexcept override { return core_->completion_fd(); }
  void complete() noexcept override { core_->complete(); }

  const DiskOptions& options() const noexcept override { return options_; }
  void prepare_switch() override;
  std::unique_ptr<FrozenDisk> switch_to_fresh_log() noexcept override;
  void cancel_switch() noexcept override;
  void start_fold(std::function<void(std::string error)> on_done) override;
  std::size_t log_count() const noexcept override { return core_->stack()->logs.size(); }
  void close() override;

 private:
  /// All that the switch needs, made before the pause.
  struct Prepared {
    std::shared_ptr<const LayerStack> stack;
    std::unique_ptr<FrozenStack> frozen;
  };

  Folder& folder();
  void fold_and_wait();

  DiskOptions options_;
  std::shared_ptr<RawFile> base_;
  std::shared_ptr<FoldGate> gate_;
  std::shared_ptr<DiskCore> core_;
  std::optional<Prepared> prepared_;  ///< the checkpoint thread's
  std::unique_ptr<Folder> folder_;    ///< made when it is first needed; last, because its thread uses the others
};

}  // namespace tintype
