// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/restore/lazy_disk.h"

#include <algorithm>
#include <exception>

#include "vmm/base/error.h"
#include "vmm/base/image_note.h"
#include "vmm/base/io.h"
#include "vmm/base/log.h"
#include "vmm/base/thread.h"

namespace tintype {

namespace {

constexpr std::uint64_t kChunkBlocks = ImageChunks::kBlocks, kChunkBytes = ImageChunks::kBytes;
constexpr std::chrono::milliseconds kFirstPause{500}, kLongestPause{60'000};

}  // namespace

LazyDisk::LazyDisk(std::shared_ptr<const BlockSource> source, UniqueFd image, std::filesystem::path path,
                   bool becomes_whole, std::shared_ptr<ImageChunks> chunks)
    : source_(std::move(source)),
      image_(std::move(image)),
      path_(std::move(path)),
      becomes_whole_(becomes_whole),
      chunks_(std::move(chunks)) {}

LazyDisk::LazyDisk(const std::shared_ptr<const BlockSource>& source, UniqueFd image, std::filesystem::path path,
                   bool becomes_whole)
    : LazyDisk(source, std::move(image), std::move(path), becomes_whole, std::make_shared<ImageChunks>(*source)) {}

LazyDisk::LazyDisk(std::shared_ptr<const BlockSource> source, UniqueFd image, std::filesystem::path path,
                   std::shared_ptr<ImageChunks> chunks)
    : LazyDisk(std::move(source), std::move(image), std::move(path), false, std::move(chunks)) {}

LazyDisk::~LazyDisk() { stop(); }

bool LazyDisk::is_there(std::uint64_t offset, std::uint64_t length) const noexcept {
  const auto absent = next_absent(offset);
  return !absent || *absent >= offset + length;
}

std::optional<std::uint64_t> LazyDisk::next_absent(std::uint64_t offset) const noexcept {
  if (bytes_left() == 0) return std::nullopt;
  for (std::size_t chunk = offset / kChunkBytes; chunk < chunks_->count(); ++chunk)
    if (!chunks_->is_there(chunk)) return std::max(offset, chunk * kChunkBytes);
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
    changed_.wait(lock, [&] { return !loading_.contains(chunk); });
    if (chunks_->is_there(chunk)) return;
    loading_.insert(chunk);
  }
  std::exception_ptr failure;
  try {
    copy(chunk);
    note(chunk, {});
    chunks_->came(chunk);
  } catch (const std::exception& error) {
    note(chunk, error.what());
    failure = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex_);
    loading_.erase(chunk);
    changed_.notify_all();
  }
  if (failure) std::rethrow_exception(failure);
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

bool LazyDisk::is_complete() const noexcept {
  const std::lock_guard lock(mutex_);
  return whole_;
}

/// What the host has lost it reports once, and does not find again when it is asked once more: all is brought again.
void LazyDisk::sync_image() {
  try {
    sync_file(image_.get(), path_.string());
  } catch (...) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return loading_.empty(); });  // they would say of what was lost that it came
    chunks_->expect_all(*source_);
    throw;
  }
}

void LazyDisk::make_lasting() {
  const std::lock_guard lock(lasting_mutex_);
  if (lasts_ || !becomes_whole_) return;
  sync_image();
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
  const std::lock_guard lock(lasting_mutex_);
  sync_image();
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
  problem_.clear();
  changed_.notify_all();
  return {};
}

void LazyDisk::complete(const Steps& steps) noexcept {
  name_this_thread("lazy-disk");
  block_signals_in_this_thread();
  bool told = false;
  std::chrono::milliseconds pause{0};
  do {
    const std::string problem = try_to_complete(steps);
    if (problem.empty()) return;
    if (!std::exchange(told, true)) log_note("{} cannot be completed from its checkpoint: {}", path_.string(), problem);
    pause = std::clamp(2 * pause, kFirstPause, kLongestPause);
    const std::lock_guard lock(mutex_);
    problem_ = problem;
    stands_still_ = true;
    go_on_ = false;
    changed_.notify_all();
  } while (is_to_go_on(pause));
}

/// It is told to, or has waited long enough.
bool LazyDisk::is_to_go_on(std::chrono::milliseconds pause) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, pause, [this] { return go_on_ || stopping_; });
  stands_still_ = false;
  return !stopping_;
}

void LazyDisk::go_on() noexcept {
  const std::lock_guard lock(mutex_);
  go_on_ = true;
  changed_.notify_all();
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
