// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/queue.h"

#include <algorithm>
#include <bit>

#include "devices/virtio/spec.h"
#include "vmm/base/error.h"
#include "vmm/base/state.h"

namespace tintype {

using namespace virtio;

std::string_view text(QueueError error) noexcept {
  switch (error) {
    case QueueError::kNone:
      return "nothing wrong";
    case QueueError::kBadSize:
      return "a queue size that is no power of two or too large";
    case QueueError::kRingOutsideMemory:
      return "a ring that is misaligned or not memory";
    case QueueError::kChangedWhileReady:
      return "a ring moved while the queue was ready";
    case QueueError::kIndexJumped:
      return "an available index that jumped by more than the queue holds";
    case QueueError::kHeadOutOfRange:
      return "an available entry that names no descriptor";
    case QueueError::kHeadInFlight:
      return "a chain made available again before it was used";
    case QueueError::kNextOutOfRange:
      return "a descriptor whose next one does not exist";
    case QueueError::kChainTooLong:
      return "a chain longer than the queue";
    case QueueError::kBadIndirectTable:
      return "an indirect table that is not allowed";
    case QueueError::kReadableAfterWritable:
      return "a readable buffer after a writable one";
    case QueueError::kBufferOutsideMemory:
      return "a buffer that is not memory";
    case QueueError::kTooManyBytes:
      return "a chain of 4 GiB or more";
    case QueueError::kMalformedRequest:
      return "a request without room for its header or its answer";
  }
  return "an unknown error";
}

namespace {

bool part_fits(const GuestMemory& memory, std::uint64_t address, std::uint64_t bytes,
               std::uint64_t alignment) noexcept {
  return address % alignment == 0 && memory.contains(Gpa(address), bytes);
}

}  // namespace

QueueError check_layout(const GuestMemory& memory, const QueueLayout& layout, std::uint32_t max_size) noexcept {
  if (!std::has_single_bit(layout.size) || layout.size > max_size) return QueueError::kBadSize;
  const bool fits = part_fits(memory, layout.descriptors, layout.size * sizeof(Descriptor), kDescriptorAlignment) &&
                    part_fits(memory, layout.available, available_bytes(layout.size), kAvailableAlignment) &&
                    part_fits(memory, layout.used, used_bytes(layout.size), kUsedAlignment);
  return fits ? QueueError::kNone : QueueError::kRingOutsideMemory;
}

Queue::Queue(GuestMemory& memory, std::uint32_t max_size)
    : memory_(memory), max_size_(max_size), is_in_flight_(max_size, false) {
  check(std::has_single_bit(max_size) && max_size <= kMaxQueueSize, "a queue's maximum size is a power of two");
  in_flight_.reserve(max_size);
}

QueueError Queue::start() noexcept {
  const QueueError error = check_layout(memory_, layout_, max_size_);
  if (error != QueueError::kNone) return error;
  forget_in_flight();
  next_available_ = next_used_ = published_ = 0;
  ready_ = true;
  return QueueError::kNone;
}

void Queue::stop() noexcept {
  ready_ = false;
  next_available_ = next_used_ = published_ = 0;
  forget_in_flight();
}

void Queue::reset() noexcept {
  stop();
  layout_ = {};
  set_features(0);
}

void Queue::set_features(std::uint64_t negotiated) noexcept {
  indirect_ = (negotiated & kFeatureIndirectDescriptors) != 0;
  event_index_ = (negotiated & kFeatureEventIndex) != 0;
}

// start() has checked that the sums fit, and that the addresses are memory and aligned; GuestMemory checks
// again, always.
template <typename T>
std::optional<T> Queue::load(std::uint64_t ring, std::uint64_t offset) const noexcept {
  return memory_.load_acquire<T>(Gpa(ring + offset));
}

template <typename T>
bool Queue::store(std::uint64_t ring, std::uint64_t offset, T value) noexcept {
  return memory_.store_release<T>(Gpa(ring + offset), value);
}

bool Queue::has_news() const noexcept {
  const auto index = load<std::uint16_t>(layout_.available, kAvailableIndex);
  return !index || *index != next_available_;
}

QueueResult<std::optional<std::uint16_t>> Queue::pop() noexcept {
  const auto index = load<std::uint16_t>(layout_.available, kAvailableIndex);
  if (!index) return QueueError::kRingOutsideMemory;
  const auto waiting = static_cast<std::uint16_t>(*index - next_available_);
  if (waiting == 0) return std::optional<std::uint16_t>();
  if (waiting > layout_.size) return QueueError::kIndexJumped;

  const std::uint32_t slot = next_available_ & (layout_.size - 1);
  const auto head = load<std::uint16_t>(layout_.available, available_element(slot));
  if (!head) return QueueError::kRingOutsideMemory;
  if (*head >= layout_.size) return QueueError::kHeadOutOfRange;
  if (is_in_flight_[*head]) return QueueError::kHeadInFlight;

  is_in_flight_[*head] = true;
  in_flight_.push_back(*head);
  ++next_available_;
  return std::optional(*head);
}

QueueError Queue::add_used(std::uint16_t head, std::uint32_t written) noexcept {
  const auto found = std::find(in_flight_.begin(), in_flight_.end(), head);
  check(found != in_flight_.end(), "a chain that is given back is in flight");
  in_flight_.erase(found);
  is_in_flight_[head] = false;

  const std::uint32_t slot = next_used_ & (layout_.size - 1);
  const UsedElement element{head, written};
  if (!memory_.store(Gpa(layout_.used + used_element(slot)), element)) return QueueError::kRingOutsideMemory;
  ++next_used_;
  return QueueError::kNone;
}

QueueResult<bool> Queue::publish() noexcept {
  if (next_used_ == published_) return false;
  const std::uint16_t before = published_;
  if (!store(layout_.used, kUsedIndex, next_used_)) return QueueError::kRingOutsideMemory;
  published_ = next_used_;
  return driver_wants_interrupt(before);
}

QueueResult<bool> Queue::driver_wants_interrupt(std::uint16_t before) const noexcept {
  // The driver writes what it waits for, then looks at the index once more; we write the index, then look at
  // what it waits for. Without a full barrier on both sides each could miss the other's write.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!event_index_) {
    const auto flags = load<std::uint16_t>(layout_.available, kAvailableFlags);
    if (!flags) return QueueError::kRingOutsideMemory;
    return (*flags & kAvailableNoInterrupt) == 0;
  }
  const auto event = load<std::uint16_t>(layout_.available, used_event_offset(layout_.size));
  if (!event) return QueueError::kRingOutsideMemory;
  return passes_event(*event, published_, before);
}

void Queue::pause_kicks() noexcept {
  // With event indices the event lies behind us as soon as we have popped one chain, so that the driver keeps
  // quiet by itself.
  if (!event_index_) (void)store(layout_.used, kUsedFlags, kUsedNoNotify);
}

QueueResult<bool> Queue::resume_kicks() noexcept {
  const bool asked = event_index_ ? store(layout_.used, available_event_offset(layout_.size), next_available_)
                                  : store(layout_.used, kUsedFlags, std::uint16_t{0});
  if (!asked) return QueueError::kRingOutsideMemory;
  std::atomic_thread_fence(std::memory_order_seq_cst);  // as in driver_wants_interrupt(), the other way round
  const auto index = load<std::uint16_t>(layout_.available, kAvailableIndex);
  if (!index) return QueueError::kRingOutsideMemory;
  return *index != next_available_;
}

VirtioQueueStateV1 Queue::save() const {
  return {ready_,       layout_.size,    layout_.descriptors, layout_.available,
          layout_.used, next_available_, next_used_,          in_flight_};
}

void Queue::check_state(const VirtioQueueStateV1& state, std::string_view who, bool broken) const {
  const auto refuse = [who](std::string_view why) {
    throw StateError("the saved state of {} is damaged: {}", who, why);
  };
  if (!state.ready) {
    if (!state.in_flight.empty()) refuse("a queue that is not ready has requests in flight");
    if (state.next_available != 0 || state.next_used != 0) refuse("a queue that is not ready has indices");
    return;
  }
  const QueueLayout layout{state.size, state.descriptors, state.available, state.used};
  const QueueError error = check_layout(memory_, layout, max_size_);
  if (error != QueueError::kNone) refuse(text(error));
  std::vector<bool> seen(state.size, false);
  for (const std::uint16_t head : state.in_flight) {
    if (head >= state.size) refuse("a request in flight names no descriptor");
    if (seen[head]) refuse("a request is in flight twice");
    seen[head] = true;
  }
  // Every chain that was popped has been given back or is in flight (unless the driver's error made us forget
  // them).
  const auto outstanding = static_cast<std::uint16_t>(state.next_available - state.next_used);
  if (!broken && outstanding != state.in_flight.size())
    refuse("a queue's indices do not agree with its requests in flight");
}

void Queue::restore(const VirtioQueueStateV1& state, std::uint64_t negotiated) {
  layout_ = {state.size, state.descriptors, state.available, state.used};
  set_features(negotiated);
  ready_ = state.ready;
  next_available_ = state.next_available;
  next_used_ = published_ = state.next_used;
  forget_in_flight();
  in_flight_.insert(in_flight_.end(), state.in_flight.begin(), state.in_flight.end());
  for (const std::uint16_t head : in_flight_) is_in_flight_[head] = true;
}

}  // namespace tintype
