// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "checkpoint/tracking/old_contents.h"
#include "vmm/base/mapping.h"

namespace tintype {

/// The memory area that captures what a write is about to destroy: a bounded number of slots, one chunk each, between
/// the handler of write faults, which fills them, and the writer, which empties them to the destination in the order in
/// which they were filled. Used for one capture after the other.
class CaptureArea final : public OldContents {
 public:
  /// `bytes` is a whole number of slots. The memory is mapped, and costs nothing so far.
  CaptureArea(std::uint64_t bytes, std::uint64_t slot_bytes);

  std::uint64_t size() const noexcept { return memory_.size(); }

  /// Before a capture: every slot is free again. So many bytes are there for certain, so that the handler does not
  /// fault on them; further slots are used last. `before_slot` may throw.
  void prepare(std::uint64_t ready_bytes, const std::function<void()>& before_slot);

  // For the handler. Nothing is taken any more when the area is closed.
  std::optional<Slot> take(std::uint64_t chunk) noexcept override;
  void ring_when_free(std::shared_ptr<EventFd> bell) noexcept override;
  std::span<std::byte> memory(const Slot& slot) const noexcept override;
  void put(const Slot& slot) noexcept override;
  bool mostly_free() const noexcept override;

  /// The oldest filled slot, or nothing. The writer gives it back when it is written.
  std::optional<Slot> next_filled();
  void give_back(const Slot& slot) noexcept override;
  /// Returns when there is one, or after that time.
  void wait_for_filled(std::chrono::milliseconds limit);

  /// Nobody waits for room any more, until prepare().
  void close() noexcept;
  /// Between captures: gives back to the host all but so many bytes. What the slots hold is lost.
  void keep_ready(std::uint64_t bytes) noexcept;

  /// Somebody waits for room.
  bool full() const noexcept;
  std::uint64_t peak_bytes() const;

 private:
  void ring() noexcept;

  const std::uint64_t slot_bytes_;
  Mapping memory_;
  const std::size_t slots_;
  std::size_t ready_ = 0;     ///< so many slots, from the first, have memory behind them
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable put_;
  std::vector<std::size_t> free_;
  std::deque<Slot> filled_;
  std::size_t peak_ = 0;
  std::shared_ptr<EventFd> bell_;  ///< whoever waits for room
  bool closed_ = true;
};

}  // namespace tintype
