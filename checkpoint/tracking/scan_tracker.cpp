// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/scan_tracker.h"

#include <algorithm>
#include <utility>

namespace tintype {

namespace {

/// A chunk of which so many pages change is hot: a fault for each costs a guest 3 to 10 microseconds, copying and
/// hashing 2 MiB some 400.
constexpr std::uint64_t kHotPages = 128;

}  // namespace

ScanTracker::ScanTracker(const GuestMemory& memory, bool kernel_tells)
    : MemoryTracker(memory),
      kernel_tells_(kernel_tells),
      due_(chunks_.pages()),
      claimed_(chunks_.pages()),
      hot_(chunks_.size()),
      held_(chunks_.size()) {}

void ScanTracker::start() {
  if (kernel_tells_ && !written_) written_ = std::make_unique<WrittenPages>(chunks_);
}

std::uint64_t ScanTracker::look() {
  residency_.scan();
  return residency_.count();
}

void ScanTracker::begin_clean() {
  look();
  ask();
  due_.clear();
}

// What was there before is written to the kernel. First it is protected, then compared.
void ScanTracker::begin_compared(const AsSaved& as_saved) {
  look();
  ask();
  for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    if (is_due(chunk) && as_saved(chunk, residency_.pages()))
      due_.remove(chunks_[chunk].first_page, chunks_[chunk].pages);
  }
}

// What the last one was to save, and was not kept, is due still.
void ScanTracker::begin(bool everything, OldContents&) {
  look();
  if (everything || std::exchange(lost_, false)) due_.add(residency_.pages());
  next_ = 0;
}

// What is written to again after this costs its writer a fault, and the pause nothing: that has to protect it once
// more, but no longer all the rest.
void ScanTracker::arm() { ask(); }

std::size_t ScanTracker::written() {
  ask();
  std::size_t count = 0;
  for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) count += is_due(chunk) ? 1 : 0;
  return count;
}

// What is hot is left for the pause: it would be written to again. Of the rest:
// first it is protected, then copied: what is written meanwhile is told by the kernel afterwards.
std::optional<std::size_t> ScanTracker::claim_written() {
  while (next_ < chunks_.size()) {
    const std::size_t chunk = next_++;
    if (hot_[chunk]) continue;
    ask(chunk, 1);
    if (!is_due(chunk)) continue;
    claim(chunk);
    return chunk;
  }
  next_ = 0;
  return std::nullopt;
}

bool ScanTracker::still_clean(std::size_t chunk) {
  ask(chunk, 1);
  return !is_due(chunk);
}

// First what was written, then the picture: so nothing is taken for written that the picture does not have. What comes
// between the two (a read in flight brings it) is due the next time.
std::size_t ScanTracker::freeze(bool) {
  ask();
  residency_.update([](std::size_t) {});
  std::size_t held = 0;
  for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    if (!written_ || hot_[chunk]) due_.add(residency_.pages(), chunks_[chunk].first_page, chunks_[chunk].pages);
    held_[chunk] = is_due(chunk);
    if (!held_[chunk]) continue;
    claim(chunk);
    ++held;
  }
  next_ = 0;
  return held;
}

std::optional<std::size_t> ScanTracker::claim_held() noexcept {
  while (next_ < chunks_.size()) {
    if (held_[next_++]) return next_ - 1;
  }
  return std::nullopt;
}

void ScanTracker::claim(std::size_t chunk) noexcept {
  const Chunk& pages = chunks_[chunk];
  claimed_.add(due_, pages.first_page, pages.pages);
  due_.remove(pages.first_page, pages.pages);
}

void ScanTracker::keep() noexcept { claimed_.clear(); }

void ScanTracker::give_back() noexcept {
  due_.add(claimed_);
  claimed_.clear();
}

void ScanTracker::learn(std::size_t chunk, std::uint64_t changed) noexcept {
  const bool hot = changed >= kHotPages;
  if (hot && !hot_[chunk]) written_->release(chunk);
  hot_[chunk] = hot;
}

/// All but what is hot, in as few questions as may be.
void ScanTracker::ask() {
  for (std::size_t first = 0, end = 0; first < chunks_.size(); first = end) {
    end = first + 1;
    if (hot_[first]) continue;
    while (end < chunks_.size() && !hot_[end] && chunks_.follow_each_other(end - 1)) ++end;
    ask(first, end - first);
  }
}

void ScanTracker::ask(std::size_t first_chunk, std::size_t chunks) {
  if (!written_) return;
  try {
    written_->take(first_chunk, chunks, due_);
  } catch (...) {
    lost_ = true;
    throw;
  }
}

}  // namespace tintype
