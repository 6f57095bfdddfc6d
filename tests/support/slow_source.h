// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "checkpoint/format/block_source.h"

namespace tintype::test {

/// Another source, as it is, for those that do something before it is read.
class ForwardedSource : public BlockSource {
 public:
  explicit ForwardedSource(std::shared_ptr<const BlockSource> source) : source_(std::move(source)) {}
  const std::string& name() const noexcept override { return source_->name(); }
  std::uint64_t content_bytes() const noexcept override { return source_->content_bytes(); }
  std::uint64_t data_blocks() const noexcept override { return source_->data_blocks(); }
  std::optional<Run> next_run(std::uint64_t block) const noexcept override { return source_->next_run(block); }
  std::size_t extent_count() const noexcept override { return source_->extent_count(); }
  const Extent& extent(std::size_t number) const noexcept override { return source_->extent(number); }
  void read_extent(std::size_t number, std::span<std::byte> into) const override {
    before_read(number);
    source_->read_extent(number, into);
  }

 protected:
  virtual void before_read(std::size_t extent) const = 0;

 private:
  const std::shared_ptr<const BlockSource> source_;
};

/// Another source, each read of which takes its time, from some block on.
class SlowSource final : public ForwardedSource {
 public:
  SlowSource(std::shared_ptr<const BlockSource> source, std::chrono::milliseconds delay, std::uint64_t from_block = 0)
      : ForwardedSource(std::move(source)), delay_(delay), from_block_(from_block) {}

 private:
  void before_read(std::size_t number) const override {
    if (extent(number).first_block >= from_block_) std::this_thread::sleep_for(delay_);
  }

  const std::chrono::milliseconds delay_;
  const std::uint64_t from_block_;
};

}  // namespace tintype::test
