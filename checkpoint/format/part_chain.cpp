// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/format/part_chain.h"

#include <algorithm>

namespace tintype {
namespace {

/// Lays what older parts hold under what is there already, into its gaps.
class Layers {
 public:
  void put_below(std::span<const Extent> extents, std::size_t first_number) {
    below_.clear();
    below_.reserve(runs_.size() + extents.size());
    top_ = 0;
    for (std::size_t i = 0; i < extents.size(); ++i) put_extent(extents[i], first_number + i);
    below_.insert(below_.end(), runs_.begin() + static_cast<std::ptrdiff_t>(top_), runs_.end());
    std::swap(runs_, below_);
  }
  std::vector<ResolvedRun> take() { return std::move(runs_); }

 private:
  void put_extent(const Extent& extent, std::size_t number) {
    std::uint64_t block = extent.first_block;
    while (block < extent.end_block()) {
      while (top_ < runs_.size() && runs_[top_].end_block() <= block) below_.push_back(runs_[top_++]);
      if (top_ < runs_.size() && runs_[top_].first_block <= block) {
        block = runs_[top_].end_block();
        continue;
      }
      const std::uint64_t gap_end =
          top_ < runs_.size() ? std::min(extent.end_block(), runs_[top_].first_block) : extent.end_block();
      below_.push_back({{block, gap_end - block, number}, extent.zero});
      block = gap_end;
    }
  }

  std::vector<ResolvedRun> runs_, below_;
  std::size_t top_ = 0;  ///< the first of runs_ that is not in below_ yet
};

}  // namespace

std::vector<ResolvedRun> resolve_parts(std::span<const PartReader* const> parts) {
  Layers layers;
  std::size_t first_number = 0;
  for (const PartReader* part : parts) {
    layers.put_below(part->extents(), first_number);
    first_number += part->extents().size();
  }
  return layers.take();
}

PartChain::PartChain(std::string name, std::vector<std::unique_ptr<PartReader>> parts)
    : name_(std::move(name)), parts_(std::move(parts)) {
  check_parts();
  std::vector<const PartReader*> readers;
  for (const auto& part : parts_) {
    readers.push_back(part.get());
    first_extents_.push_back(extent_count_);
    extent_count_ += part->extents().size();
  }
  for (const ResolvedRun& run : resolve_parts(readers)) {
    if (run.zero) continue;
    runs_.push_back(run);
    data_blocks_ += run.blocks;
  }
}

void PartChain::check_parts() const {
  check(!parts_.empty(), "a chain has a part");
  for (const auto& part : parts_) {
    const bool last = part == parts_.back();
    if (last && part->incremental())
      throw ImageError("{} holds changes only, and there is nothing that they were made to", part->path().string());
    if (!last && !part->incremental()) throw ImageError("{} builds on nothing", part->path().string());
    if (part->content_bytes() != content_bytes() || part->kind() != parts_.front()->kind())
      throw ImageError("{} is not what {} builds on: it has another size", part->path().string(),
                       parts_.front()->path().string());
  }
}

std::optional<BlockSource::Run> PartChain::next_run(std::uint64_t block) const noexcept {
  const auto run = std::ranges::upper_bound(runs_, block, {}, &Run::end_block);
  return run == runs_.end() ? std::nullopt : std::optional(*run);
}

PartChain::Place PartChain::place_of(std::size_t number) const noexcept {
  const auto behind = std::ranges::upper_bound(first_extents_, number);
  const auto which = static_cast<std::size_t>(behind - first_extents_.begin()) - 1;
  const PartReader& part = *parts_[which];
  return {part, part.extents()[number - first_extents_[which]]};
}

const Extent& PartChain::extent(std::size_t number) const noexcept { return place_of(number).extent; }

void PartChain::read_extent(std::size_t number, std::span<std::byte> into) const {
  const Place place = place_of(number);
  place.part.read_extent(place.extent, into);
}

}  // namespace tintype
