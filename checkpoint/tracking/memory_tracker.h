// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "checkpoint/tracking/chunks.h"
#include "checkpoint/tracking/fault_service.h"
#include "checkpoint/tracking/fault_times.h"
#include "checkpoint/tracking/old_contents.h"
#include "checkpoint/tracking/page_set.h"
#include "checkpoint/tracking/residency.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// How it is known what was written.
enum class Tracking : std::uint8_t {
  kProtection,  ///< by faults on write-protected memory, which can also hold it still
  kScan,        ///< the kernel notes it, and is asked
  kNothing,     ///< it is not known: everything counts as written, always
};

/// What this host lets us do.
struct TrackingSupport {
  Tracking tracking = Tracking::kNothing;
  std::string cannot_hold;  ///< why memory cannot be held still; empty where it can
  std::string cannot_know;  ///< why it is not known what was written; empty where it is
};
TrackingSupport probe_tracking();

/// Knows which pages of memory were written since the last checkpoint that was kept, and gives them out a chunk at a
/// time. One object a machine, for its whole life. Everything belongs to the thread that takes the checkpoint.
class MemoryTracker {
 public:
  explicit MemoryTracker(const GuestMemory& memory) : chunks_(memory), residency_(chunks_) {}
  virtual ~MemoryTracker() = default;
  MemoryTracker(const MemoryTracker&) = delete;
  MemoryTracker& operator=(const MemoryTracker&) = delete;

  const ChunkTable& chunks() const noexcept { return chunks_; }
  /// Which pages there were at the last look: of a chunk that is to be copied, those of the instant.
  const Residency& residency() const noexcept { return residency_; }

  /// Whether the pages of a chunk that are there are as a checkpoint has them. They may be written to meanwhile.
  using AsSaved = std::function<bool(std::size_t chunk, const PageSet& there)>;

  // ---- guest running ----

  /// Watches memory from now on, where it can. Throws tintype::Error where the host does not let it.
  virtual void start() = 0;
  /// It is known what was written since start().
  virtual bool knows() const noexcept = 0;

  /// Takes a picture, and says how many pages there are.
  virtual std::uint64_t look() = 0;
  /// Before the guest runs: memory is as a checkpoint has it. All that is there counts as clean.
  virtual void begin_clean() = 0;

  /// The guest has run, unwatched, since memory was as a checkpoint has it: what still is counts as clean, by chunks.
  virtual void begin_compared(const AsSaved& as_saved) = 0;

  /// A checkpoint begins: of everything there is, or of what was written since the last one. `keeper` takes old
  /// contents until the checkpoint ends.
  virtual void begin(bool everything, OldContents& keeper) = 0;
  /// Does already now what it can of freeze(), so that the pause has less to do.
  virtual void arm() = 0;
  /// How many chunks would be saved if the instant were now.
  virtual std::size_t written() = 0;

  /// For copying ahead of the pause: takes one chunk after the other that was written, once through memory (then
  /// nothing, and it may begin again). Where it is written to from here on, it will be saved again, whole: all that was
  /// claimed of it before. While it is copied, still_clean() says whether it was.
  virtual std::optional<std::size_t> claim_written() = 0;
  virtual bool still_clean(std::size_t chunk) = 0;

  // ---- the pause ----

  /// This is the instant. What is to be saved is held from here on; or, with `copied_elsewhere`, it is only noted for
  /// claim_held(), because somebody has a copy of it. Returns how many chunks that is.
  virtual std::size_t freeze(bool copied_elsewhere) = 0;

  // ---- guest running again, or still paused ----

  /// The next chunk to be copied; nothing where none is left but those that went to the keeper.
  virtual std::optional<std::size_t> claim_held() noexcept = 0;
  /// It has been copied. False where a write came first, and its old contents went to the keeper.
  virtual bool copied(std::size_t chunk) noexcept = 0;
  /// Of a chunk that was claimed, or whose old contents went to the keeper: the pages that are to be saved.
  virtual const PageSet& claimed() const noexcept = 0;
  /// So many of them were another than in the last checkpoint: what the chunk is like.
  virtual void learn(std::size_t chunk, std::uint64_t changed) noexcept = 0;
  /// The host refused something that cannot be made good: the checkpoint is lost.
  virtual bool failed() const noexcept = 0;

  // ---- the end of a checkpoint ----

  /// It is kept: what is written from its instant on is what the next one saves.
  virtual void keep() noexcept = 0;
  /// It is not: what it was to save counts as written. Nothing is held any more, and nobody waits.
  virtual void give_back() noexcept = 0;

  /// Times of the faults since begin(). Call it when nothing is held.
  virtual FaultLog faults() const = 0;
  /// The kernel may put the pages of this chunk together to a huge one.
  virtual bool may_be_mended(std::size_t chunk) const noexcept = 0;

 protected:
  const ChunkTable chunks_;
  Residency residency_;
};

/// `make_userfault` is for kProtection; the host need not permit it before start().
std::unique_ptr<MemoryTracker> make_tracker(Tracking tracking, const GuestMemory& memory, MakeUserfault make_userfault);

/// Copies pages out of a chunk of guest memory, each to its place in it.
void copy_pages(const PageSet& pages, const Chunk& chunk, std::span<std::byte> into) noexcept;

}  // namespace tintype
