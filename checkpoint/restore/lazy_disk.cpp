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

LazyDisk::LazyDisk(std::shared_ptr<const BlockSource> source, UniqueFd image, std::filesystem::path path,
                   bool becomes_whole)
    : source_(std::move(source)),
      image_(std::move(image)),
      path_(std::move(path)),
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
  } catch (const std::exception& failure) {
    note(chunk, failure.what());
    end_as(State::kAbsent);
    throw;
  }
  note(chunk, {});
  end_as(State::kThere);
  bytes_left_ -= bytes_of(chunk);
}

/// What could not be brought may come now, where another piece did.
void LazyDisk::note(std::size_t chunk, const std::string& problem) noexcept {
  const std::lock_guard lock(mutex_);
  if (problem.empty()) {
    go_on_ = true;
    if (chunk == problem_chunk_) problem_.clear();
  } else {
    problem_ = problem;
    problem_chunk_ = chunk;
  }
}

std::string LazyDisk::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

/// What is zero stays a hole.
void LazyDisk::copy(std::size_t chunk) const {
  const std::uint64_t first = chunk * kChunkBlocks, end = std::min(first + kChunkBlocks, source_->blocks());
  std::vector<std::byte> data((end - first) * kBlockSize);
  source_->read_blocks(first, data);
  for (auto run = source_->next_run(first); run && run->first_block < end; run = source_->next_run(run->end_block())) {
    const std::uint64_t from = std::max(run->first_block, first), until = std::min(run->end_block(), end);
    const std::uint64_t bytes = std::min(until * kBlockSize, size()) - from * kBlockSize;
    write_exactly(image_.get(), std::span(data).subspan((from - first) * kBlockSize, bytes), from * kBlockSize,
                  path_.string());
    if (until == source_->blocks()) break;
  }
}

// ---- the image as a whole ----

void LazyDisk::make_lasting() {
  const std::lock_guard lock(lasting_mutex_);
  if (lasts_ || !becomes_whole_) return;
  sync_file(image_.get(), path_.string());
  sync_directory(path_.parent_path());
  lasts_ = true;
}

void LazyDisk::start(Steps steps) {
  if (!becomes_whole_) return;
  thread_ = std::thread([this, steps = std::move(steps)] { complete(steps); });
}

/// False where it was stopped before.
bool LazyDisk::make_whole() {
  for (auto absent = next_absent(0); absent; absent = next_absent(*absent)) {
    bring_chunk(*absent / kChunkBytes);
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
  }
  sync_file(image_.get(), path_.string());
  clear_incomplete_note(image_.get());
  return true;
}

/// Returns what it failed by.
std::string LazyDisk::try_to_complete(const Steps& steps) noexcept {
  try {
    if (steps.begin) steps.begin();
    if (!make_whole()) return {};
  } catch (const std::exception& failure) {
    return failure.what();
  }
  if (steps.whole) steps.whole();
  const std::lock_guard lock(mutex_);
  whole_ = true;
  changed_.notify_all();
  return {};
}

void LazyDisk::complete(const Steps& steps) noexcept {
  name_this_thread("lazy-disk");
  block_signals_in_this_thread();
  bool told = false;
  do {
    const std::string problem = try_to_complete(steps);
    if (problem.empty()) return;
    if (!std::exchange(told, true)) log_note("{} cannot be completed from its checkpoint: {}", path_.string(), problem);
    const std::lock_guard lock(mutex_);
    problem_ = problem;
    stands_still_ = true;
    go_on_ = false;
    changed_.notify_all();
  } while (is_told_to_go_on());
}

bool LazyDisk::is_told_to_go_on() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return go_on_ || stopping_; });
  stands_still_ = false;
  return !stopping_;
}

void LazyDisk::finish() {
  if (!becomes_whole_) return;
  std::unique_lock lock(mutex_);
  if (std::exchange(stands_still_, false)) go_on_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return whole_ || stopping_ || stands_still_; });
  if (whole_) return;
  throw Error(
      "{} could not be completed from the checkpoint that it was restored from ({}): `tintype disk complete {}` "
      "tries again",
      path_.string(), problem_, path_.string());
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
