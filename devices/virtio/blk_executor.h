// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "devices/block/backend.h"
#include "devices/virtio/blk_request.h"

namespace tintype {

/// Carries out commands on a block backend, many at a time, from a fixed pool: no memory is allocated once it
/// has warmed up. Knows nothing of queues.
///
/// Used by one thread at a time (under the transport's lock).
class BlkExecutor {
 public:
  /// One command under way. `queue` and `head` are the caller's.
  struct Slot {
    BlkCommand command;
    std::uint16_t queue = 0;
    std::uint16_t head = 0;

   private:
    friend class BlkExecutor;
    BlockRequest request_;
    BlkExecutor* owner_ = nullptr;
    bool busy_ = false;
    bool abandoned_ = false;
    bool flush_follows_ = false;
  };

  /// Told when a command is done; `error_number` is 0 or an errno. Not told of abandoned commands.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void finished(const Slot& slot, int error_number) noexcept = 0;
    /// The host has written into these buffers, or may have (also those of abandoned commands).
    virtual void data_landed(const BlkCommand& command) noexcept = 0;
  };

  BlkExecutor(BlockBackend& backend, std::size_t slots, Listener& listener);
  BlkExecutor(const BlkExecutor&) = delete;
  BlkExecutor& operator=(const BlkExecutor&) = delete;

  /// Every write is flushed before it is finished: for a driver that does not know of caches.
  void set_write_through(bool on) noexcept { write_through_ = on; }

  bool has_room() const noexcept { return !free_.empty(); }
  /// A free slot, to be filled. There must be room. It is used by start(), or free again if not.
  Slot& next_slot() noexcept { return slots_[free_.back()]; }
  /// Hands next_slot(), whose action is kRead, kWrite, kZero or kFlush, to the backend. finished() may come before
  /// it returns.
  void start() noexcept;
  /// Lets the host begin with what was started.
  void kick() noexcept;
  /// Collects what the host has finished.
  void complete() noexcept { backend_.complete(); }
  bool poll() noexcept { return backend_.poll(); }

  /// Nobody waits any more for what is under way of that queue.
  void abandon(std::uint16_t queue) noexcept;
  bool quiescing() const noexcept { return abandoned_ != 0; }

 private:
  static void on_done(BlockRequest& request, int error_number) noexcept;
  void done(Slot& slot, int error_number) noexcept;
  void release(Slot& slot) noexcept;

  BlockBackend& backend_;
  Listener& listener_;
  std::vector<Slot> slots_;  ///< never resized: the backend holds pointers to them
  std::vector<std::uint32_t> free_;
  std::size_t abandoned_ = 0;  ///< busy slots that nobody waits for
  bool write_through_ = false;
  bool submitted_ = false;  ///< since the last kick()
};

}  // namespace tintype
