// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "vmm/base/mapping.h"

namespace tintype {

/// The memory area that captures what a write is about to destroy: a bounded number of slots, one chunk each, between
/// the handler of write faults, which fills them, and the writer, which empties them to the destination in the order in
/// which they were filled. Used for one capture after the other.
class CaptureArea {
 public:
  struct Slot {
    std::size_t number = 0;
    std::uint64_t chunk = 0;  ///< whose old contents it holds
  };

  /// `bytes` is a whole number of slots. The memory is mapped, and costs nothing so far.
  CaptureArea(std::uint64_t bytes, std::uint64_t slot_bytes);

  std::uint64_t size() const noexcept { return memory_.size(); }
  std::span<std::byte> memory(const Slot& slot) const noexcept;

  /// Before a capture: every slot is free again, and its memory is there, so that the handler cannot fault on it.
  /// `before_slot` may throw.
  void prepare(const std::function<void()>& before_slot);

  /// A free slot without waiting, or nothing.
  std::optional<Slot> try_take(std::uint64_t chunk);
  /// A free slot; waits for the writer while all are in use. Nothing once the area is closed.
  std::optional<Slot> take(std::uint64_t chunk);
  /// The slot is filled: the writer may have it. Or it was taken in vain.
  void put(const Slot& slot);
  void give_back(const Slot& slot);
  /// The oldest filled slot, or nothing. The writer gives it back when it is written.
  std::optional<Slot> next_filled();

  /// Ends all waiting until prepare().
  void close();
  /// Between captures: the host may take the memory when it is short of it; else it stays. What it holds is lost.
  void offer_to_host() noexcept;

  bool mostly_free() const;
  /// Somebody waits in take().
  bool full() const;
  std::uint64_t peak_bytes() const;
  std::uint64_t waits() const;

 private:
  Slot take_locked(std::uint64_t chunk);

  const std::uint64_t slot_bytes_;
  Mapping memory_;
  const std::size_t slots_;
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable freed_;
  std::vector<std::size_t> free_;
  std::deque<Slot> filled_;
  std::size_t peak_ = 0;
  std::uint64_t waits_ = 0;
  std::size_t waiting_ = 0;
  bool closed_ = true;
};

}  // namespace tintype
