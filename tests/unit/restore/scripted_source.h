// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "checkpoint/format/block_source.h"
#include "vmm/base/error.h"

namespace tintype::test {

/// Memory of a checkpoint that was never taken: runs of pages, each filled with what fill() makes of its number. Reads
/// can be slow, or fail.
class ScriptedSource final : public BlockSource {
 public:
  struct Stretch {
    std::uint64_t first_block, blocks;
  };

  ScriptedSource(std::uint64_t bytes, const std::vector<Stretch>& stretches) : bytes_(bytes) {
    for (const Stretch& stretch : stretches) {
      Extent extent;
      extent.first_block = stretch.first_block;
      extent.blocks = stretch.blocks;
      extents_.push_back(extent);
    }
  }

  static void fill(std::uint64_t block, std::span<std::byte> into) {
    for (std::size_t i = 0; i < into.size(); i += 8) {
      const std::uint64_t word = block * 0x9e3779b97f4a7c15 + i + 1;
      std::memcpy(into.data() + i, &word, 8);
    }
  }

  const std::string& name() const noexcept override { return name_; }
  std::uint64_t content_bytes() const noexcept override { return bytes_; }
  std::uint64_t data_blocks() const noexcept override {
    std::uint64_t sum = 0;
    for (const Extent& extent : extents_) sum += extent.blocks;
    return sum;
  }
  std::optional<Run> next_run(std::uint64_t block) const noexcept override {
    for (std::size_t i = 0; i < extents_.size(); ++i) {
      if (extents_[i].end_block() > block) return Run{extents_[i].first_block, extents_[i].blocks, i};
    }
    return std::nullopt;
  }
  std::size_t extent_count() const noexcept override { return extents_.size(); }
  const Extent& extent(std::size_t number) const noexcept override { return extents_[number]; }
  void read_extent(std::size_t number, std::span<std::byte> into) const override {
    std::this_thread::sleep_for(delay);
    {
      const std::lock_guard lock(mutex_);
      order_.push_back(number);
    }
    if (static_cast<int>(number) == fails.load()) throw ImageError("extent {} is damaged", number);
    for (std::uint64_t i = 0; i < extents_[number].blocks; ++i)
      fill(extents_[number].first_block + i, into.subspan(i * kBlockSize, kBlockSize));
  }

  /// Extents in the order in which they were read.
  std::vector<std::size_t> order() const {
    const std::lock_guard lock(mutex_);
    return order_;
  }

  std::chrono::milliseconds delay{0};
  std::atomic<int> fails = -1;  ///< reading this one fails

 private:
  std::string name_ = "memory";
  std::uint64_t bytes_;
  std::vector<Extent> extents_;
  mutable std::mutex mutex_;
  mutable std::vector<std::size_t> order_;
};

}  // namespace tintype::test
