// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <mutex>
#include <vector>

#include "checkpoint/tracking/memory_tracker.h"

namespace tintype {

/// The states of a chunk; README.md has the picture. All but the first three exist only while a checkpoint is taken.
enum class ChunkState : std::uint8_t {
  kOpen,        ///< not protected: written, or never looked at. Every write that is let through leads here
  kArmed,       ///< protected, and to be saved all the same
  kClean,       ///< protected, and as the last checkpoint (or the one under way) has it
  kHeld,        ///< protected, to be saved as it is
  kPreserving,  ///< held, and written to: the fault thread is giving it to the keeper
  kCopying,     ///< held, and the copier is at it
};

/// Knows by write protection, which stays from one checkpoint to the next: a chunk that is protected was not written;
/// at the first write it is let go, and counts as written. So a pause protects only what was written since the last
/// one. And holds chunks still: what a write is about to destroy goes to the keeper first. Faults come on a thread of
/// their own.
class ProtectionTracker final : public MemoryTracker, private FaultSink {
 public:
  explicit ProtectionTracker(const GuestMemory& memory, MakeUserfault make_userfault = std::make_unique<Userfault>);
  ~ProtectionTracker() override;

  void start() override;
  bool knows() const noexcept override { return service_ != nullptr; }
  std::uint64_t look() override;
  void begin_clean() override;
  void begin_compared(const AsSaved& as_saved) override;
  void begin(bool everything, OldContents& keeper) override;
  void arm() override;
  std::size_t written() override;
  std::optional<std::size_t> claim_written() override;
  bool still_clean(std::size_t chunk) override { return states_[chunk].load() == ChunkState::kClean; }
  std::size_t freeze(bool copied_elsewhere) override;
  std::optional<std::size_t> claim_held() noexcept override;
  bool copied(std::size_t chunk) noexcept override;
  const PageSet& claimed() const noexcept override { return residency_.pages(); }
  void learn(std::size_t, std::uint64_t) noexcept override {}
  bool failed() const noexcept override { return failed_.load(); }
  void keep() noexcept override { end(); }
  void give_back() noexcept override;
  FaultLog faults() const override;
  /// What is protected is as it was: the kernel does not put pages together that are.
  bool may_be_mended(std::size_t chunk) const noexcept override { return states_[chunk].load() == ChunkState::kOpen; }

 private:
  bool on_fault(const Fault& fault) noexcept override;
  bool handle(std::size_t chunk, bool is_waited_for) noexcept;
  bool preserve(std::size_t chunk, bool is_waited_for) noexcept;
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
