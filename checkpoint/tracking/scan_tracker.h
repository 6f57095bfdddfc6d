// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "checkpoint/tracking/memory_tracker.h"
#include "checkpoint/tracking/written_pages.h"

namespace tintype {

/// Asks the kernel what was written; where that cannot tell, everything that is there was, always. It cannot hold
/// memory still: its user copies while the machine is paused, or out of a copy of this process.
///
/// A chunk most of which changes from one checkpoint to the next is not protected any more: copying it is cheaper than
/// a fault for each of its pages. It counts as written, until it turns out that little of it was.
///
/// What the kernel has told once it does not tell again, so that is kept: until a checkpoint is, in which it lies.
class ScanTracker final : public MemoryTracker {
 public:
  ScanTracker(const GuestMemory& memory, bool kernel_tells);

  void start() override;
  bool knows() const noexcept override { return written_ != nullptr; }
  std::uint64_t look() override;
  void begin_clean() override;
  void begin_compared(const AsSaved& as_saved) override;
  void begin(bool everything, OldContents& keeper) override;
  void arm() override;
  std::size_t written() override;
  std::optional<std::size_t> claim_written() override;
  bool still_clean(std::size_t chunk) override;
  std::size_t freeze(bool copied_elsewhere) override;
  std::optional<std::size_t> claim_held() noexcept override;
  bool copied(std::size_t) noexcept override { return true; }
  const PageSet& claimed() const noexcept override { return claimed_; }
  void learn(std::size_t chunk, std::uint64_t changed) noexcept override;
  bool failed() const noexcept override { return false; }
  void keep() noexcept override;
  void give_back() noexcept override;
  FaultLog faults() const override { return {}; }
  /// Huge pages are put together only of pages that are not protected.
  bool may_be_mended(std::size_t chunk) const noexcept override { return hot_[chunk]; }

 private:
  void ask();
  void ask(std::size_t first_chunk, std::size_t chunks);
  bool is_due(std::size_t chunk) const noexcept { return due_.any(chunks_[chunk].first_page, chunks_[chunk].pages); }
  void claim(std::size_t chunk) noexcept;

  const bool kernel_tells_;
  std::unique_ptr<WrittenPages> written_;
  PageSet due_;             ///< told by the kernel, and to be saved
  PageSet claimed_;         ///< given out since begin(), of whatever chunk
  std::vector<bool> hot_;   ///< by chunk: not protected, and always written
  std::vector<bool> held_;  ///< by chunk: for claim_held()
  std::size_t next_ = 0;    ///< where a claim goes on
  bool lost_ = false;       ///< the kernel failed in the middle: everything counts as written
};

}  // namespace tintype
