// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "checkpoint/capture/capture_area.h"
#include "checkpoint/capture/copy_buffers.h"
#include "checkpoint/capture/quiet_timer.h"
#include "checkpoint/capture/strategy.h"
#include "checkpoint/format/block_source.h"
#include "checkpoint/tracking/memory_tracker.h"
#include "checkpoint/tracking/page_hashes.h"

namespace tintype {

/// What all strategies are made of: the knowledge of what was written, the capture area, the copier. One object a
/// machine, for its whole life; a strategy says which of it is used, and when.
class CaptureEngine {
 public:
  explicit CaptureEngine(const GuestMemory& memory, MakeUserfault make_userfault = std::make_unique<Userfault>,
                         Tracking tracking = probe_tracking().tracking);

  /// Where the copier gets a chunk's contents from: these pages, as they were at the instant, each to its place.
  using Read = std::function<void(const PageSet& pages, const Chunk& chunk, std::span<std::byte> into)>;

  /// Guest running. Memory is watched from now on, where the host lets us. Throws tintype::Error where that is not what
  /// the strategy needs; with kHold the capture area is made ready for as much as this capture may need of it.
  void prepare(const CaptureRequest& request, Need need, const Cancellation& cancellation);
  /// Guest running: copies what was written, and again what was written meanwhile, while that becomes less.
  void precopy(PageSink& sink);
  /// The instant, machine paused.
  void freeze(bool copied_elsewhere = false);
  /// Puts all that freeze() found to be saved, as it was then. What is written to meanwhile comes by the capture area.
  /// When it returns all is safe in copies, and nothing waits for the sink any more.
  void drain(PageSink& sink) { drain(sink, copy_pages); }
  void drain(PageSink& sink, const Read& read);
  bool guest_waits() const noexcept { return area_ && area_->full(); }

  void keep() noexcept;
  void give_back() noexcept;
  MemoryReport report() const { return report_; }

  /// Chunks that were written to may have lost their huge page; this asks the host for it. Guest running.
  void mend_huge_pages() noexcept;

  /// What was written since the last capture that was kept is known, so that the next one may save only that.
  bool knows_what_was_written() const noexcept { return tracker_->knows() && kept_; }
  /// Memory is as a checkpoint has it, and the machine has not run yet: what it writes from here on is known. Nothing
  /// happens where the host cannot tell.
  void begin_as_restored();
  /// The machine has run since, unwatched, and some of memory is as that checkpoint has it still.
  void begin_as_compared(const MemoryTracker::AsSaved& as_saved);
  /// The machine runs, and nothing is known of what its memory was: all of it is read, and compared with `saved`, page
  /// by page. What is as it is there need not be saved again. Throws what reading throws, and tintype::Error; then
  /// nothing is known still. Nothing happens where the host cannot tell what is written.
  void begin_compared_with(const BlockSource& saved, const Cancellation& cancellation);
  /// Bytes of the pages there are.
  std::uint64_t resident_bytes();
  /// Bytes of the chunks that were written to since the last capture that was kept, as far as it is known.
  std::uint64_t written_bytes();

 private:
  void start(Need need);
  void make_present(const BlockSource& saved);
  void make_area(std::uint64_t asked);
  using Owner = std::shared_ptr<const void>;
  PageSink::Ticket put(std::size_t chunk, std::span<const std::byte> contents, Owner owner, PageSink& sink);
  std::vector<PageSink::Run> runs_to_put(std::size_t chunk, std::span<const std::byte> contents);
  bool put_preserved(PageSink& sink);
  bool put_held(PageSink& sink, const Read& read);
  void precopy_round(PageSink& sink);
  void throw_if_failed() const;
  void finish() noexcept;
  void let_memory_go() noexcept;

  const GuestMemory& memory_;
  const Tracking tracking_;
  std::unique_ptr<MemoryTracker> tracker_;
  PageHashes hashes_;
  CopyBuffers buffers_;
  std::uint64_t area_asked_ = 0;       ///< 0: as many bytes as suit
  std::shared_ptr<CaptureArea> area_;  ///< shared with a destination that has been given a slot
  bool everything_ = true;
  bool kept_ = false;
  std::size_t to_put_ = 0;                             ///< chunks that freeze() found and drain() has not put yet
  std::map<std::size_t, PageSink::Ticket> precopied_;  ///< by chunk
  std::chrono::steady_clock::time_point last_end_{};
  MemoryReport report_;
  QuietTimer since_last_;  ///< the last: its thread ends before all that it touches
};

}  // namespace tintype
