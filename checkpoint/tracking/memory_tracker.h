// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "checkpoint/tracking/chunks.h"
#include "checkpoint/tracking/fault_service.h"
#include "checkpoint/tracking/fault_times.h"
#include "checkpoint/tracking/old_contents.h"
#include "checkpoint/tracking/residency.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// Knows which chunks of memory were written since the last checkpoint that was kept, and holds chunks as they were at
/// an instant until they have been copied. One object a machine, for its whole life.
///
/// It knows by write protection, which stays from one checkpoint to the next: a chunk that is protected was not
/// written; at the first write it is let go, and counts as written. So a pause protects only what was written since the
/// last one. Without a userfaultfd nothing is protected, and everything counts as written, always.
///
/// The states of a chunk; README.md has the picture. All but the first three exist only while a checkpoint is taken.
enum class ChunkState : std::uint8_t {
  kOpen,        ///< not protected: written, or never looked at. Every write that is let through leads here
  kArmed,       ///< protected, and to be saved all the same
  kClean,       ///< protected, and as the last checkpoint (or the one under way) has it
  kHeld,        ///< protected, to be saved as it is
  kPreserving,  ///< held, and written to: the fault thread is giving it to the keeper
  kCopying,     ///< held, and the copier is at it
};

/// begin() to keep() or give_back() belong to the thread that takes the checkpoint. Faults come on one of their own.
class MemoryTracker final : private WriteFaultSink {
 public:
  explicit MemoryTracker(const GuestMemory& memory, MakeUserfault make_userfault = std::make_unique<Userfault>);
  ~MemoryTracker() override;
  MemoryTracker(const MemoryTracker&) = delete;
  MemoryTracker& operator=(const MemoryTracker&) = delete;

  const ChunkTable& chunks() const noexcept { return chunks_; }
  /// Which pages there were at the last look: of a chunk that is held, those of the instant.
  const Residency& residency() const noexcept { return residency_; }

  // ---- guest running ----

  /// Watches memory from now on. Throws tintype::Error where the host cannot write-protect.
  void start();
  bool started() const noexcept { return service_ != nullptr; }

  /// Takes a picture, and says how many pages there are.
  std::uint64_t look();
  /// Before the guest runs: memory is as a checkpoint has it. All that is there is protected, and counts as clean.
  void begin_clean();

  /// A checkpoint begins: of everything there is, or of what was written since the last one. `keeper` takes old
  /// contents until the checkpoint ends.
  void begin(bool everything, OldContents& keeper);
  /// Protects what is open already now, so that the pause has less to do.
  void arm();
  /// How many chunks would be saved if the instant were now.
  std::size_t written() const noexcept;

  /// For copying ahead of the pause: takes one chunk after the other that was written, once through memory (then
  /// nothing, and it may begin again). It is protected from here on; where it is written to while it is copied,
  /// still_clean() says so, and it will be saved again.
  std::optional<std::size_t> claim_written();
  bool is_open(std::size_t chunk) const noexcept { return states_[chunk].load() == ChunkState::kOpen; }
  bool still_clean(std::size_t chunk) const noexcept { return states_[chunk].load() == ChunkState::kClean; }

  // ---- the pause ----

  /// This is the instant. What is to be saved is held from here on; or, with `copied_elsewhere`, it is only noted for
  /// claim_held(), because somebody has a copy of it. Returns how many chunks that is.
  std::size_t freeze(bool copied_elsewhere = false);

  // ---- guest running again ----

  /// The next chunk to be copied; nothing where none is left but those that went to the keeper.
  std::optional<std::size_t> claim_held() noexcept;
  /// It has been copied. False where a write came first, and its old contents went to the keeper.
  bool copied(std::size_t chunk) noexcept;
  /// The host refused to let a chunk go: the checkpoint is lost.
  bool failed() const noexcept { return failed_.load(); }

  // ---- the end of a checkpoint ----

  /// It is kept: what is written from its instant on is what the next one saves.
  void keep() noexcept;
  /// It is not: what it was to save counts as written. Nothing is held any more, and nobody waits.
  void give_back() noexcept;

  /// Times of the faults since begin(). Call it when nothing is held.
  FaultLog faults() const;

 private:
  void on_write_fault(std::uintptr_t address) noexcept override;
  bool handle(std::size_t chunk, bool may_wait) noexcept;
  bool preserve(std::size_t chunk, bool may_wait) noexcept;
  bool overtake(std::size_t chunk) noexcept;
  bool let_go(std::size_t chunk, ChunkState seen) noexcept;
  void look_ahead(std::size_t chunk) noexcept;

  bool change(std::size_t chunk, ChunkState from, ChunkState to) noexcept {
    return states_[chunk].compare_exchange_strong(from, to);
  }
  bool needs_saving(std::size_t chunk) const noexcept;
  void protect(std::size_t first, std::size_t count);
  void release(std::size_t first, std::size_t count) noexcept;
  void end() noexcept;

  const GuestMemory& memory_;
  const MakeUserfault make_userfault_;
  const ChunkTable chunks_;
  Residency residency_;
  std::unique_ptr<std::atomic<ChunkState>[]> states_;
  std::mutex protection_mutex_;  ///< held where a chunk's state and its protection change together
  bool copied_elsewhere_ = false;
  std::vector<bool> mine_;  ///< by chunk: this checkpoint saves it
  std::vector<bool> came_;  ///< by chunk: it has pages that came after it was last protected
  std::vector<bool> open_;  ///< by chunk: freeze() must protect it
  std::size_t next_ = 0;    ///< where a claim goes on
  std::atomic<bool> failed_ = false;

  mutable std::mutex handling_mutex_;  ///< held by the fault thread while it handles one; guards the rest
  OldContents* keeper_ = nullptr;
  FaultLog faults_;
  std::size_t last_fault_ = SIZE_MAX, reached_ = 0, ahead_ = 0;  ///< for look_ahead()

  std::unique_ptr<FaultService> service_;  // last: its thread uses all of the above
};

}  // namespace tintype
