// SPDX-License-Identifier: Apache-2.0
#include "devices/output_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "vmm/base/error.h"

namespace tintype {
namespace {

constexpr std::size_t kFifo = 16;           // what a guest may send between two looks at the transmitter
constexpr std::size_t kPileOfBytes = 2048;  // worth a write even in the middle of a line

}  // namespace

OutputBuffer::OutputBuffer(std::size_t capacity, WhenFull when_full)
    : capacity_(capacity),
      when_full_(when_full),
      bytes_(std::make_unique_for_overwrite<std::uint8_t[]>(capacity)) {  // untouched pages cost nothing
  check(capacity > kFifo, "an output buffer holds more than one FIFO");
}

bool OutputBuffer::is_met(Wake wake) const noexcept {
  switch (wake) {
    case Wake::kNever:
      return false;
    case Wake::kAnyByte:
      return count_ > 0;
    case Wake::kUrgent:
      return line_ended_ || count_ >= std::min(kPileOfBytes, capacity_ / 2);
  }
  return false;
}

OutputBuffer::Put OutputBuffer::put(std::uint8_t byte) noexcept {
  const std::lock_guard lock(mutex_);
  if (count_ == capacity_ && when_full_ == WhenFull::kDropOldest) drop_oldest();
  if (count_ < capacity_) {
    const std::size_t end = first_ + count_;
    bytes_[end < capacity_ ? end : end - capacity_] = byte;
    ++count_;
    line_ended_ |= byte == '\n';
  } else {
    ++dropped_;
  }
  Put result;
  result.wake = is_met(wake_);
  if (result.wake) wake_ = Wake::kNever;  // once is enough
  result.room = when_full_ == WhenFull::kDropOldest || capacity_ - count_ >= kFifo;
  sender_held_ |= !result.room;
  return result;
}

void OutputBuffer::drop_oldest() noexcept {
  first_ = first_ + 1 < capacity_ ? first_ + 1 : 0;
  --count_;
  ++dropped_;
}

std::size_t OutputBuffer::take(std::span<std::uint8_t> into) noexcept {
  const std::lock_guard lock(mutex_);
  const std::size_t taken = std::min(into.size(), count_);
  const std::size_t before_end = std::min(taken, capacity_ - first_);
  std::memcpy(into.data(), &bytes_[first_], before_end);
  std::memcpy(into.data() + before_end, &bytes_[0], taken - before_end);
  first_ = (first_ + taken) % capacity_;
  count_ -= taken;
  line_ended_ = count_ > 0 && line_ended_;
  return taken;
}

bool OutputBuffer::is_urgent() const noexcept {
  const std::lock_guard lock(mutex_);
  return is_met(Wake::kUrgent);
}

bool OutputBuffer::arm(Wake wake) noexcept {
  const std::lock_guard lock(mutex_);
  wake_ = is_met(wake) ? Wake::kNever : wake;
  return wake_ == wake;
}

bool OutputBuffer::take_room_notice() noexcept {
  const std::lock_guard lock(mutex_);
  if (!sender_held_ || count_ > capacity_ / 2) return false;
  sender_held_ = false;
  return true;
}

std::uint64_t OutputBuffer::take_dropped() noexcept {
  const std::lock_guard lock(mutex_);
  return std::exchange(dropped_, 0);
}

}  // namespace tintype
