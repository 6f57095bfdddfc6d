// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "checkpoint/format/block_source.h"

namespace tintype {

/// Memory or a disk of a checkpoint that others may merge while it is read, in a store that keeps nothing open: where
/// what was read is gone, the checkpoint is opened anew, wherever it lies by then, and shows the same.
class SteadySource final : public BlockSource {
 public:
  /// Nothing where the checkpoint has not moved since it was opened last, or is not there any more.
  using OpenAgain = std::function<std::unique_ptr<BlockSource>()>;
  SteadySource(std::unique_ptr<BlockSource> source, OpenAgain open_again);

  const std::string& name() const noexcept override { return first_->name(); }
  std::uint64_t content_bytes() const noexcept override { return first_->content_bytes(); }
  std::uint64_t data_blocks() const noexcept override { return first_->data_blocks(); }
  std::optional<Run> next_run(std::uint64_t block) const noexcept override { return first_->next_run(block); }
  std::size_t extent_count() const noexcept override { return first_->extent_count(); }
  const Extent& extent(std::size_t number) const noexcept override { return first_->extent(number); }
  void read_extent(std::size_t number, std::span<std::byte> into) const override;

 private:
  std::shared_ptr<const BlockSource> open_after(const std::shared_ptr<const BlockSource>& failed) const;

  const std::shared_ptr<const BlockSource> first_;  ///< what lies where: that stays as it was
  const OpenAgain open_again_;
  mutable std::mutex mutex_;  // guards the next
  mutable std::shared_ptr<const BlockSource> latest_;
};

}  // namespace tintype
