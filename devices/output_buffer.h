// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

namespace tintype {

/// The guest's output on its way to the host: vCPU threads put bytes in, one writer thread takes them out in
/// blocks. The writer says what it sleeps for, so that a vCPU rings its bell (a system call) about once a
/// line and not once a byte.
class OutputBuffer {
 public:
  enum class WhenFull : std::uint8_t {
    kHoldSender,  ///< put() says that there is no room, and drops what is put in all the same
    kDropOldest,  ///< there is always room; the newest `capacity` bytes are kept
  };
  /// What the sleeping writer is to be woken for.
  enum class Wake : std::uint8_t { kNever, kAnyByte, kUrgent };

  struct Put {
    bool wake = false;  ///< the caller must ring the writer's bell
    bool room = false;  ///< 16 more bytes will fit
  };

  OutputBuffer(std::size_t capacity, WhenFull when_full);

  Put put(std::uint8_t byte) noexcept;

  /// Moves out at most into.size() of the oldest bytes; returns how many.
  std::size_t take(std::span<std::uint8_t> into) noexcept;
  /// A line has ended since the last take(), or a good deal has piled up.
  bool is_urgent() const noexcept;
  /// The writer is about to sleep. False where what it wants to be woken for is there already: it must not
  /// sleep.
  [[nodiscard]] bool arm(Wake wake) noexcept;
  /// True once after put() has said that there is no room, when half of the buffer is free again.
  [[nodiscard]] bool take_room_notice() noexcept;
  /// Bytes lost since the last call.
  std::uint64_t take_dropped() noexcept;

 private:
  bool is_met(Wake wake) const noexcept;
  void drop_oldest() noexcept;

  const std::size_t capacity_;
  const WhenFull when_full_;
  const std::unique_ptr<std::uint8_t[]> bytes_;

  mutable std::mutex mutex_;  ///< guards all below and what bytes_ holds
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  Wake wake_ = Wake::kNever;
  bool line_ended_ = false;
  bool sender_held_ = false;
  std::uint64_t dropped_ = 0;
};

}  // namespace tintype
