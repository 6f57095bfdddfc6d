// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/restore/lazy_disk.h"

#include <algorithm>

#include "vmm/base/error.h"
#include "vmm/base/image_note.h"
#include "vmm/base/io.h"
#include "vmm/base/log.h"
#include "vmm/base/thread.h"

namespace tintype {

namespace {

constexpr std::uint64_t kChunkBlocks = 256;  // 1 MiB
constexpr std::uint64_t kChunkBytes = kChunkBlocks * kBlockSize;

}  // namespace

LazyDisk::LazyDisk(std::shared_ptr<const BlockSource> source, UniqueFd image, std::string what, bool becomes_whole)
    : source_(std::move(source)),
      image_(std::move(image)),
      what_(std::move(what)),
      becomes_whole_(becomes_whole),
      chunks_((size() + kChunkBytes - 1) / kChunkBytes) {
  for (auto& chunk : chunks_) chunk = State::kThere;  // zeros: a hole says so
  for (std::uint64_t block = 0; block < source_->blocks();) {
    const auto run = source_->next_run(block);  // may have begun before it
    if (!run) break;
    const std::size_t chunk = std::max(run->first_block, block) / kChunkBlocks;
    chunks_[chunk] = State::kAbsent;
    bytes_left_ += bytes_of(chunk);
    block = (chunk + 1) * kChunkBlocks;
  }
}

LazyDisk::~LazyDisk() { stop(); }

std::uint64_t LazyDisk::bytes_of(std::size_t chunk) const noexcept {
  return std::min(kChunkBytes, size() - chunk * kChunkBytes);
}

bool LazyDisk::is_there(std::uint64_t offset, std::uint64_t length) const noexcept {
  const auto absent = next_absent(offset);
  return !absent || *absent >= offset + length;
}

std::optional<std::uint64_t> LazyDisk::next_absent(std::uint64_t offset) const noexcept {
  if (bytes_left_ == 0) return std::nullopt;
  for (std::size_t chunk = offset / kChunkBytes; chunk < chunks_.size(); ++chunk)
    if (chunks_[chunk].load(std::memory_order_acquire) != State::kThere) return std::max(offset, chunk * kChunkBytes);
  return std::nullopt;
}

void LazyDisk::bring(std::uint64_t offset, std::uint64_t length) {
  for (auto absent = next_absent(offset); absent && *absent < offset + length; absent = next_absent(*absent))
    bring_chunk(*absent / kChunkBytes);
}

/// Each is written once: whoever comes second waits for the first.
void LazyDisk::bring_chunk(std::size_t chunk) {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return chunks_[chunk] != State::kLoading; });
    if (chunks_[chunk] == State::kThere) return;
    chunks_[chunk] = State::kLoading;
  }
  const auto end_as = [&](State state) {
    const std::lock_guard lock(mutex_);
    chunks_[chunk].store(state, std::memory_order_release);
    changed_.notify_all();
  };
  try {
    copy(chunk);
  } catch (...) {
    end_as(State::kAbsent);
    throw;
  }
  end_as(State::kThere);
  bytes_left_ -= bytes_of(chunk);
}

/// What is zero stays a hole.
void LazyDisk::copy(std::size_t chunk) const {
  const std::uint64_t first = chunk * kChunkBlocks, end = std::min(first + kChunkBlocks, source_->blocks());
  std::vector<std::byte> data((end - first) * kBlockSize);
  source_->read_blocks(first, data);
  for (auto run = source_->next_run(first); run && run->first_block < end; run = source_->next_run(run->end_block())) {
    const std::uint64_t from = std::max(run->first_block, first), until = std::min(run->end_block(), end);
    const std::uint64_t bytes = std::min(until * kBlockSize, size()) - from * kBlockSize;
    write_exactly(image_.get(), std::span(data).subspan((from - first) * kBlockSize, bytes), from * kBlockSize, what_);
    if (until == source_->blocks()) break;
  }
}

// ---- the image as a whole ----

void LazyDisk::start(std::function<void()> whole) {
  if (!becomes_whole_) return;
  thread_ = std::thread([this, whole = std::move(whole)] { complete(whole); });
}

void LazyDisk::make_whole() {
  for (auto absent = next_absent(0); absent; absent = next_absent(*absent)) {
    bring_chunk(*absent / kChunkBytes);
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
  }
  sync_file(image_.get(), what_);
  clear_incomplete_note(image_.get());
}

void LazyDisk::complete(const std::function<void()>& whole) noexcept {
  name_this_thread("lazy-disk");
  block_signals_in_this_thread();
  std::string problem;
  try {
    make_whole();
  } catch (const std::exception& failure) {
    problem = failure.what();
    log_note("{} cannot be completed from its checkpoint: {}", what_, problem);
  }
  const bool done = problem.empty() && bytes_left_ == 0;
  if (done && whole) whole();
  const std::lock_guard lock(mutex_);
  whole_ = done;
  problem_ = problem;
  changed_.notify_all();
}

void LazyDisk::finish() {
  if (!becomes_whole_) return;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return whole_ || stopping_ || !problem_.empty(); });
  if (whole_) return;
  throw Error(
      "{} could not be completed from the checkpoint that it was restored from ({}): `tintype disk complete {}` "
      "tries again",
      what_, problem_, what_);
}

void LazyDisk::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace tintype
