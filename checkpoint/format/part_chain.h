// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "checkpoint/format/block_source.h"
#include "checkpoint/format/part_reader.h"

namespace tintype {

/// A part and those that it builds on, or one part alone: all their indexes resolved to one list of runs. Where two
/// have a block, the newer one's counts, zero or not.
class PartChain final : public BlockSource {
 public:
  /// Newest first. Throws ImageError where they do not build on each other: all but the last are incremental and the
  /// last is not, and all are of one kind and size.
  PartChain(std::string name, std::vector<std::unique_ptr<PartReader>> parts);

  const std::string& name() const noexcept override { return name_; }
  std::uint64_t content_bytes() const noexcept override { return parts_.front()->content_bytes(); }
  std::uint64_t data_blocks() const noexcept override { return data_blocks_; }
  std::optional<Run> next_run(std::uint64_t block) const noexcept override;
  std::size_t extent_count() const noexcept override { return extent_count_; }
  const Extent& extent(std::size_t number) const noexcept override;
  void read_extent(std::size_t number, std::span<std::byte> into) const override;

  std::size_t part_count() const noexcept { return parts_.size(); }

 private:
  struct Place {
    const PartReader& part;
    const Extent& extent;
  };
  Place place_of(std::size_t number) const noexcept;
  void check_parts() const;

  std::string name_;
  std::vector<std::unique_ptr<PartReader>> parts_;
  std::vector<std::size_t> first_extents_;  ///< of each part: the number of its first extent
  std::size_t extent_count_ = 0;
  std::uint64_t data_blocks_ = 0;
  std::vector<Run> runs_;
};

/// The runs of `parts`, newest first, as PartChain has them; numbers of extents count through all parts in that order.
/// Blocks that are zero by an extent come too, those in no extent do not.
struct ResolvedRun : BlockSource::Run {
  bool zero = false;
};
std::vector<ResolvedRun> resolve_parts(std::span<const PartReader* const> parts);

}  // namespace tintype
