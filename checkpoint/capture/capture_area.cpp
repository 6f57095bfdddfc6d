// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/capture_area.h"

#include <sys/mman.h>

#include <algorithm>

#include "vmm/memory/gpa.h"

namespace tintype {

CaptureArea::CaptureArea(std::uint64_t bytes, std::uint64_t slot_bytes)
    : slot_bytes_(slot_bytes), memory_(Mapping::anonymous(bytes, kHugePageSize)), slots_(memory_.size() / slot_bytes) {
  memory_.advise(MADV_HUGEPAGE);
}

void CaptureArea::prepare(const std::function<void()>& before_slot) {
  for (std::size_t slot = 0; slot < slots_; ++slot) {
    before_slot();
    const auto bytes = memory({slot, 0});
    for (std::size_t at = 0; at < bytes.size(); at += kPageSize) bytes[at] = std::byte{0};
  }
  const std::lock_guard lock(mutex_);
  free_.clear();
  for (std::size_t slot = slots_; slot > 0; --slot) free_.push_back(slot - 1);
  filled_.clear();
  peak_ = waits_ = 0;
  closed_ = false;
}

std::span<std::byte> CaptureArea::memory(const Slot& slot) const noexcept {
  return memory_.bytes().subspan(slot.number * slot_bytes_, slot_bytes_);
}

CaptureArea::Slot CaptureArea::take_locked(std::uint64_t chunk) {
  const Slot slot{free_.back(), chunk};
  free_.pop_back();
  peak_ = std::max(peak_, slots_ - free_.size());
  return slot;
}

std::optional<CaptureArea::Slot> CaptureArea::try_take(std::uint64_t chunk) {
  const std::lock_guard lock(mutex_);
  if (closed_ || free_.empty()) return std::nullopt;
  return take_locked(chunk);
}

std::optional<CaptureArea::Slot> CaptureArea::take(std::uint64_t chunk) {
  std::unique_lock lock(mutex_);
  if (free_.empty() && !closed_) {
    ++waits_;
    ++waiting_;
    freed_.wait(lock, [this] { return closed_ || !free_.empty(); });
    --waiting_;
  }
  if (closed_) return std::nullopt;
  return take_locked(chunk);
}

void CaptureArea::put(const Slot& slot) {
  const std::lock_guard lock(mutex_);
  filled_.push_back(slot);
}

void CaptureArea::give_back(const Slot& slot) {
  const std::lock_guard lock(mutex_);
  free_.push_back(slot.number);
  freed_.notify_one();
}

std::optional<CaptureArea::Slot> CaptureArea::next_filled() {
  const std::lock_guard lock(mutex_);
  if (filled_.empty()) return std::nullopt;
  const Slot slot = filled_.front();
  filled_.pop_front();
  return slot;
}

void CaptureArea::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  freed_.notify_all();
}

void CaptureArea::offer_to_host() noexcept { memory_.advise(MADV_FREE); }

bool CaptureArea::mostly_free() const {
  const std::lock_guard lock(mutex_);
  return free_.size() * 2 > slots_;
}

bool CaptureArea::full() const {
  const std::lock_guard lock(mutex_);
  return waiting_ != 0;
}

std::uint64_t CaptureArea::peak_bytes() const {
  const std::lock_guard lock(mutex_);
  return peak_ * slot_bytes_;
}

std::uint64_t CaptureArea::waits() const {
  const std::lock_guard lock(mutex_);
  return waits_;
}

}  // namespace tintype
