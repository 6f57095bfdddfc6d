// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "devices/block/block_file.h"
#include "devices/block/raw_file.h"
#include "devices/block/redo_log_format.h"
#include "devices/block/sectors.h"

namespace tintype {

class NewLogFile;

/// A log of uncommitted updates: a file that holds some sectors of a disk, newer than what lies below, and a
/// record of each range that it holds.
///
/// No locks here: the disk's mutex guards index and allocation while the log is active; once it is frozen,
/// nothing changes until it is committed. Space is never used twice within a log, so that a read in flight finds
/// its data where the index said, whatever happens meanwhile.
class RedoLog : public BlockFile {
 public:
  /// Of what the log holds: sectors of the disk, and where in the file they lie.
  struct Run {
    SectorRange range;
    std::uint64_t position = ExtentIndex::kNoRoom;
    bool zeros = false;  ///< they are zeros, wherever there may be room for them
    bool fresh = false;  ///< the room is theirs from now on
  };

  /// A log above `base`, in a new file in `directory` (empty: beside the image), durable when this returns.
  /// `before_name` is called before it gets a name. Throws tintype::Error, std::system_error, or what that throws;
  /// nothing is left behind then.
  static std::shared_ptr<RedoLog> create(const RawFile& base, const std::filesystem::path& directory,
                                         std::uint64_t sequence, log_format::Purpose purpose,
                                         const std::function<void()>& before_name = {});
  /// The same, but it has no name before publish(), and goes when we end: until then nothing in it may be said to be
  /// durable. Only where nobody else takes names of this image's logs.
  static std::shared_ptr<RedoLog> create_unpublished(const RawFile& base, const std::filesystem::path& directory,
                                                     std::uint64_t sequence, log_format::Purpose purpose);
  /// Name and log are durable when this returns, whatever has been written to it meanwhile. Throws std::system_error;
  /// it may be tried again.
  void publish();
  /// The same without a name: the kernel takes it away when we end, however we end. It has no records, nothing of it is
  /// ever made durable, and the base is not told of it.
  static std::shared_ptr<RedoLog> create_volatile(const RawFile& base, const std::filesystem::path& directory,
                                                  std::uint64_t sequence);
  ~RedoLog();
  bool is_volatile() const noexcept { return volatile_; }

  const ExtentIndex& index() const noexcept { return index_; }
  ExtentIndex& index() noexcept { return index_; }
  const log_format::Superblock& superblock() const noexcept { return superblock_; }
  log_format::State state() const noexcept {
    const std::lock_guard lock(state_mutex_);
    return state_;
  }
  std::uint64_t sequence() const noexcept { return superblock_.sequence; }
  /// The highest sequence number whose updates it has, its own included.
  std::uint64_t covers() const noexcept { return std::max(sequence(), state().merged_through); }

  /// A run, and whether the index is to learn of it, and the file by a record.
  struct Place : Run {
    bool is_new = false;
  };
  /// Where writes to `range` go, in order: sectors that the log holds are overwritten where they lie, so that it grows
  /// no larger than the disk, the others get new room. Appended to `into`.
  void place(SectorRange range, std::vector<Place>& into);
  /// A record tells of the run, and the index too from now on.
  void note(const Run& run);
  /// Data that could not be written: its room, if no record speaks of it.
  void give_back(const Run& run);
  /// The slot of a record whose data has landed.
  std::uint64_t take_slot() noexcept {
    records_end_ = next_slot_ + 1;
    return next_slot_++;
  }
  log_format::Record record_of(const Run& run, std::uint64_t slot) const noexcept;

  // Flush points. After a power cut only records count that a flush point speaks for.
  /// Slots below it are taken: what a sync that begins now makes durable.
  std::uint64_t records_end() const noexcept { return records_end_; }
  /// Records that were found but not taken, since no flush had covered them when the host went down.
  std::uint64_t discarded() const noexcept { return discarded_; }
  /// No write was ever told to be in it, flushed or not: whoever loses it loses nothing.
  bool holds_nothing() const noexcept { return records_end_ == 0 && index_.empty(); }
  bool has_unflushed_records() const noexcept { return flushed_ < records_end_; }
  std::uint64_t take_flush_slot() noexcept { return next_slot_++; }
  void give_back_flush_slot(std::uint64_t slot) noexcept {
    if (slot + 1 == next_slot_) next_slot_ = slot;
  }
  /// How many records are in the file, flush points apart.
  std::uint64_t records_written() const noexcept { return records_written_; }
  /// `records`: how many of them lie below `records_end`.
  log_format::Record flush_record(std::uint64_t records_end, std::uint64_t records, std::uint64_t slot) const noexcept;
  /// For the header, once the flush point in `slot` is durable: so that a log that was cut off is known by it.
  log_format::Record last_flush(std::uint64_t slot) const noexcept {
    return flush_record(slot + 1, 0, log_format::kLastFlushSlot);
  }
  void note_flushed(std::uint64_t records_end) noexcept { flushed_ = std::max(flushed_, records_end); }
  std::uint64_t flushed() const noexcept { return flushed_; }

  /// Whether the record has reached the file, for when writing it failed half-way. Reads on this thread.
  bool has_record(const log_format::Record& record, std::uint64_t slot) const noexcept;

  /// Overwrites the state sector; 0 leaves the time as it is. Throws std::system_error.
  void set_state(log_format::StateKind kind, std::uint64_t base_modified_ns = 0);
  /// The same, to say that all of the logs up to that one is in this log too.
  void set_merged_through(std::uint64_t sequence);

  /// Of a log that was found: it can be written to again. What no flush point spoke for after a power cut is erased for
  /// good, and what is written from now on counts for this boot of the host. Durable when this returns.
  void reopen_for_writing();
  /// Deletes the file, and the link to it beside the image. Its state is kRetired, durably. Throws std::system_error.
  void remove();
  /// Deletes a log that was never used, as far as that goes (what remains holds nothing).
  void discard() noexcept;

 private:
  friend class LogScan;
  RedoLog(std::filesystem::path path, std::filesystem::path link, UniqueFd fd,
          const log_format::Superblock& superblock);

  void allocate(SectorRange range, std::vector<Place>& into);
  void write_state(const log_format::State& state);

  std::unique_ptr<NewLogFile> unpublished_;
  std::filesystem::path link_;  ///< beside the image, where the log lies elsewhere; else empty
  log_format::Superblock superblock_;
  mutable std::mutex state_mutex_;  ///< who waits for old writes sets it, while the next switch is prepared
  log_format::State state_;
  std::uint64_t seed_;
  ExtentIndex index_;
  std::uint64_t next_slot_ = 0;
  std::uint64_t records_end_ = 0;
  std::uint64_t records_written_ = 0;
  std::uint64_t flushed_ = 0;    ///< as far as flush points speak
  std::uint64_t next_data_ = 0;  ///< number of the next data sector
  std::uint64_t discarded_ = 0;
  std::vector<std::uint64_t> void_slots_;  ///< of a log that was found: what must not count later, either
  bool volatile_ = false;
  struct FreeRun {
    std::uint64_t position = 0, count = 0;
  };
  std::vector<FreeRun> free_;
};

}  // namespace tintype
