// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/capture_area.h"

#include <sys/mman.h>

#include <algorithm>
#include <utility>

#include "vmm/memory/gpa.h"

namespace tintype {

CaptureArea::CaptureArea(std::uint64_t bytes, std::uint64_t slot_bytes)
    : slot_bytes_(slot_bytes), memory_(Mapping::anonymous(bytes, kHugePageSize)), slots_(memory_.size() / slot_bytes) {
  memory_.advise(MADV_HUGEPAGE);
  memory_.advise(MADV_DONTFORK);
}

void CaptureArea::prepare(std::uint64_t ready_bytes, const std::function<void()>& before_slot) {
  const std::size_t wanted = std::min(slots_, (ready_bytes + slot_bytes_ - 1) / slot_bytes_);
  for (; ready_ < wanted; ++ready_) {
    before_slot();
    const auto bytes = memory({ready_, 0});
    for (std::size_t at = 0; at < bytes.size(); at += kPageSize) bytes[at] = std::byte{0};
  }
  const std::lock_guard lock(mutex_);
  free_.clear();
  for (std::size_t slot = slots_; slot > 0; --slot) free_.push_back(slot - 1);
  filled_.clear();
  peak_ = 0;
  closed_ = false;
}

std::optional<CaptureArea::Slot> CaptureArea::take(std::uint64_t chunk) noexcept {
  const std::lock_guard lock(mutex_);
  if (closed_ || free_.empty()) return std::nullopt;
  const Slot slot{free_.back(), chunk};
  free_.pop_back();
  peak_ = std::max(peak_, slots_ - free_.size());
  return slot;
}

void CaptureArea::ring_when_free(std::shared_ptr<EventFd> bell) noexcept {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  bell_ = std::move(bell);
  if (!free_.empty()) ring();  // there was none when it was asked for
}

/// With the mutex.
void CaptureArea::ring() noexcept {
  if (const auto bell = std::exchange(bell_, nullptr)) bell->signal();
}

std::span<std::byte> CaptureArea::memory(const Slot& slot) const noexcept {
  return memory_.bytes().subspan(slot.number * slot_bytes_, slot_bytes_);
}

void CaptureArea::put(const Slot& slot) noexcept {
  const std::lock_guard lock(mutex_);
  filled_.push_back(slot);
  put_.notify_one();
}

bool CaptureArea::mostly_free() const noexcept {
  const std::lock_guard lock(mutex_);
  return free_.size() > slots_ / 2;
}

std::optional<CaptureArea::Slot> CaptureArea::next_filled() {
  const std::lock_guard lock(mutex_);
  if (filled_.empty()) return std::nullopt;
  const Slot slot = filled_.front();
  filled_.pop_front();
  return slot;
}

void CaptureArea::give_back(const Slot& slot) noexcept {
  const std::lock_guard lock(mutex_);
  free_.push_back(slot.number);
  ring();
}

void CaptureArea::wait_for_filled(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  put_.wait_for(lock, limit, [this] { return !filled_.empty(); });
}

void CaptureArea::close() noexcept {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  ring();
}

void CaptureArea::keep_ready(std::uint64_t bytes) noexcept {
  const std::size_t kept = std::min(slots_, (bytes + slot_bytes_ - 1) / slot_bytes_);
  if (kept < slots_) {
    const auto rest = memory_.bytes().subspan(kept * slot_bytes_);
    ::madvise(rest.data(), rest.size(), MADV_DONTNEED);
  }
  ready_ = std::min(ready_, kept);
}

bool CaptureArea::full() const noexcept {
  const std::lock_guard lock(mutex_);
  return bell_ != nullptr;
}

std::uint64_t CaptureArea::peak_bytes() const {
  const std::lock_guard lock(mutex_);
  return peak_ * slot_bytes_;
}

}  // namespace tintype
