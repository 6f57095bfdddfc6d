// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "devices/virtio/state.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// How a driver broke the rules. Every one of these makes the device say DEVICE_NEEDS_RESET.
enum class QueueError : std::uint8_t {
  kNone,
  kBadSize,                ///< queue size zero, no power of two, or larger than QueueNumMax
  kRingOutsideMemory,      ///< a ring or descriptor table that is not wholly memory, or misaligned
  kChangedWhileReady,      ///< a ring moved or resized while the device uses it
  kIndexJumped,            ///< the available index went ahead of the device by more than the queue holds
  kHeadOutOfRange,         ///< an available entry that names no descriptor
  kHeadInFlight,           ///< a chain made available again before it was used
  kNextOutOfRange,         ///< a descriptor's `next` that names no descriptor
  kChainTooLong,           ///< more descriptors than the queue holds: a loop
  kBadIndirectTable,       ///< nested, chained on, not negotiated, empty, or no whole number of descriptors
  kReadableAfterWritable,  ///< device-readable buffers must come first
  kBufferOutsideMemory,    ///< a buffer that is not wholly inside one region of memory
  kTooManyBytes,           ///< a chain of 4 GiB or more
  kMalformedRequest,       ///< no room for the request's header or status: there is no way to answer
};
std::string_view text(QueueError error) noexcept;

/// What an operation on something the driver wrote gives: a value, or how the driver broke the rules.
template <typename T>
class [[nodiscard]] QueueResult {
 public:
  QueueResult(T value) : content_(std::move(value)) {}
  QueueResult(QueueError error) : content_(error) {}
  explicit operator bool() const noexcept { return content_.index() == 0; }
  const T& operator*() const { return std::get<0>(content_); }
  QueueError error() const noexcept { return *this ? QueueError::kNone : *std::get_if<1>(&content_); }

 private:
  std::variant<T, QueueError> content_;
};

/// Where the driver put a queue's three parts, as it wrote them into the registers.
struct QueueLayout {
  std::uint32_t size = 0;
  std::uint64_t descriptors = 0;
  std::uint64_t available = 0;
  std::uint64_t used = 0;
  bool operator==(const QueueLayout&) const = default;
};

/// A split virtqueue (2.7), the device's side of it.
///
/// The driver owns the memory of the rings and may write anything there at any time, so every value is copied
/// out once, checked, and only then used, and every access goes through GuestMemory, which also marks what is
/// written. Not locked: the transport's lock is held around every call.
///
/// One batch of work is: pause_kicks(), then pop() until it gives nothing, add_used() for each chain that is
/// finished (then or in a later batch), publish(), resume_kicks().
class Queue {
 public:
  Queue(GuestMemory& memory, std::uint32_t max_size);

  std::uint32_t max_size() const noexcept { return max_size_; }
  bool ready() const noexcept { return ready_; }
  const QueueLayout& layout() const noexcept { return layout_; }

  /// The registers, before the queue is ready.
  QueueLayout& registers() noexcept { return layout_; }
  /// Checks what the registers hold and starts at index 0.
  [[nodiscard]] QueueError start() noexcept;
  /// Stops using the rings; keeps the registers. Chains in flight are forgotten: whoever works on them must
  /// know.
  void stop() noexcept;
  /// As after a reset of the device.
  void reset() noexcept;
  /// The driver broke the rules: nothing that is in flight will be answered.
  void forget_in_flight() noexcept { in_flight_.clear(), is_in_flight_.assign(max_size_, false); }
  void set_features(std::uint64_t negotiated) noexcept;
  bool indirect_allowed() const noexcept { return indirect_; }

  /// The head of the next chain that the driver made available, or nothing where there is none. It is in
  /// flight until add_used().
  QueueResult<std::optional<std::uint16_t>> pop() noexcept;
  /// Whether pop() would find something (or something wrong).
  bool has_news() const noexcept;
  /// Heads of the chains in flight, in the order in which they were popped.
  std::span<const std::uint16_t> in_flight() const noexcept { return in_flight_; }

  /// Gives a chain back, `written` bytes of which were written. The driver sees it after publish().
  [[nodiscard]] QueueError add_used(std::uint16_t head, std::uint32_t written) noexcept;
  /// Lets the driver see what add_used() gave back. True where it wants an interrupt for that.
  QueueResult<bool> publish() noexcept;

  /// Tells the driver that it need not ring the bell, since the device is looking at the queue anyway.
  void pause_kicks() noexcept;
  /// Asks for the bell again. True where chains came meanwhile, for which no bell will ring.
  QueueResult<bool> resume_kicks() noexcept;

  VirtioQueueStateV1 save() const;
  /// Throws StateError, which names `who`, where restore() would not take the state.
  void check_state(const VirtioQueueStateV1& state, std::string_view who, bool broken) const;
  void restore(const VirtioQueueStateV1& state, std::uint64_t negotiated);

 private:
  template <typename T>
  std::optional<T> load(std::uint64_t ring, std::uint64_t offset) const noexcept;
  template <typename T>
  [[nodiscard]] bool store(std::uint64_t ring, std::uint64_t offset, T value) noexcept;
  QueueResult<bool> driver_wants_interrupt(std::uint16_t before) const noexcept;

  GuestMemory& memory_;
  const std::uint32_t max_size_;
  QueueLayout layout_;
  bool ready_ = false;
  bool indirect_ = false;
  bool event_index_ = false;
  std::uint16_t next_available_ = 0;  ///< of the next chain to pop
  std::uint16_t next_used_ = 0;       ///< of the next chain to give back
  std::uint16_t published_ = 0;       ///< what the driver sees of next_used_
  std::vector<std::uint16_t> in_flight_;
  std::vector<bool> is_in_flight_;  ///< by head, so that a doubled one is found at once
};

/// Whether a queue could run with this layout: size a power of two and at most `max_size`, the parts aligned
/// and wholly memory.
[[nodiscard]] QueueError check_layout(const GuestMemory& memory, const QueueLayout& layout,
                                      std::uint32_t max_size) noexcept;

}  // namespace tintype
