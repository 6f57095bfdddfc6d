// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "devices/block/changed_blocks.h"
#include "devices/block/flight.h"
#include "devices/block/live_commit.h"
#include "devices/block/rate_limit.h"
#include "devices/block/write_order.h"

namespace tintype {

/// The heart of a disk: takes requests, sends them to the layers, and knows what is in flight. The layers
/// change under its mutex, by a swap of a pointer. The mutex is held for bookkeeping only, never while
/// somebody waits for host I/O.
///
/// Threads: submit() and complete() belong to the disk's I/O thread. All else may be called from any thread.
class DiskCore {
 public:
  struct Policy {
    bool read_only = false;
    bool makes_durable = true;     ///< a flush makes the host write all to stable storage; else it is answered at once
    bool stops_on_errors = false;  ///< what the host cannot do waits until it is asked for again; else it fails
    RateLimit limit{0, 0};
  };
  DiskCore(std::shared_ptr<const LayerStack> stack, std::unique_ptr<IoEngine> engine, const Policy& policy);
  DiskCore(const DiskCore&) = delete;
  DiskCore& operator=(const DiskCore&) = delete;

  void submit(BlockRequest& request) noexcept;
  void kick() noexcept { engine_->kick(); }
  int completion_fd() const noexcept { return engine_->completion_fd(); }
  void complete() noexcept;
  bool poll() noexcept;  ///< see BlockBackend::poll()

  std::shared_ptr<const LayerStack> stack() const noexcept;
  // Both move requests on first, as far as the host has got with them, without telling their owners.
  /// Nothing is in flight. For whoever closes the disk, when the I/O thread is gone.
  bool idle() noexcept;
  /// Requests of the guest are in flight, as far as the I/O thread knows.
  bool is_busy() const noexcept;
  /// Called, with the mutex held, whenever a request finds no room in the file system of the logs.
  void set_on_no_room(std::function<void()> on_no_room) { on_no_room_ = std::move(on_no_room); }
  bool waits_for_room() const noexcept;
  /// Any thread: whether what is being committed comes to its end, and so makes room.
  void note_commit(bool fails) noexcept;
  /// Called, with the mutex held, whenever a request begins to wait because the host could not do it.
  void set_on_stop(std::function<void()> on_stop);
  /// Why requests wait: 0 where none does, or all are about to be tried again.
  int stopped_by() const noexcept;
  /// They do, and nobody has had them go on.
  bool waits_for_user() const noexcept;
  /// It is that a log found no room.
  bool stopped_by_full_log() const noexcept;
  /// A flush that failed waits, so that the guest does not know yet what the host has lost.
  bool has_lost_writes() const noexcept;
  /// Try them again. Any thread; the I/O thread does it.
  void go_on() noexcept;
  /// The guest has gone, or goes back in time: what waits for room, or because it failed, or comes to, fails.
  void give_up_waiting() noexcept;
  /// It is back.
  void wait_again() noexcept;
  /// From now on a flush does what it says.
  void make_durable() noexcept;
  /// No write of `epoch` or before is in flight any more. Submits no read: the threads that ask this must not find
  /// themselves waiting for guest memory to be released (IoEngine::kick_writes).
  bool writes_landed(std::uint64_t epoch) noexcept;
  std::uint64_t epoch() const noexcept;
  /// fdatasync, from any thread but the disk's own. Its failure reaches every flush that is not answered yet, and
  /// theirs reaches the caller. Throws std::system_error.
  void sync(BlockFile& file);
  /// The same for a log, together with a flush point that says so; nothing where it is volatile.
  void flush_log(RedoLog& log);

  // Copying into a log that is kept, on the committing thread. Nobody else writes to these sectors of it meanwhile.
  std::vector<RedoLog::Place> take_places(RedoLog& log, const SectorRange& range);
  /// The data has landed, or there are zeros: now the log says so. Throws std::system_error.
  void note_copied(RedoLog& log, const RedoLog::Run& run);

  /// What becomes superfluous at a switch, to be destroyed by somebody who has time.
  struct Leftovers {
    std::shared_ptr<const LayerStack> stack;
    std::unique_ptr<LiveCommit> live_commit;
  };
  /// Requests submitted from now on go to `fresh`, and writes among them into the set that `changes` brings; those in
  /// flight belong to the epoch that is returned. `changes` takes away the set that was used until now: it is final.
  std::uint64_t switch_to(std::shared_ptr<const LayerStack> fresh, std::shared_ptr<ChangedBlocks>& changes,
                          Leftovers& leftovers) noexcept;
  /// What was taken away at a switch counts as changed after it too.
  void put_back_changes(const ChangedBlocks& changes);
  /// Nothing has changed so far, whatever was taken for changed.
  void forget_changes();
  /// Bytes in the blocks that changed since the last switch.
  std::uint64_t changed_bytes() const noexcept;
  /// Swaps in a stack in which nothing differs that a reader could see.
  void replace_stack(std::shared_ptr<const LayerStack> stack) noexcept;

  // Emptying the active log. Only the committing thread calls these.
  bool live_committing() const noexcept;
  /// Returns the epoch whose writes must have landed before the first copy.
  std::uint64_t begin_live_commit();
  /// Gives up half-way: the log is written to again as any other.
  void end_live_commit() noexcept;
  LiveCommit::Chunk next_chunk(std::uint64_t& cursor, std::uint64_t limit);
  void chunk_copied();
  bool begin_settling() noexcept;
  bool settled() const noexcept;
  /// The committed log leaves the stack, in one go, so that no write can get into it any more.
  void finish_live_commit(std::shared_ptr<const LayerStack> stack) noexcept;

 private:
  using Clock = std::chrono::steady_clock;

  Flight& take_flight(BlockRequest& request);
  void start(Flight& flight);
  void start_write(Flight& flight);
  bool plan_next_part(Flight& flight);
  void plan_part(Flight& flight);
  void plan_read(Flight& flight);
  void plan_flush(Flight& flight);
  void plan_write(Flight& flight);
  void plan_base_write(Flight& flight, const SectorRange& range);
  void plan_log_write(Flight& flight, RedoLog& log, const SectorRange& range);
  void plan_log_zeros(Flight& flight, RedoLog& log, const SectorRange& range);
  void overwrite_with_zeros(Flight& flight, RedoLog& log, const SectorRange& range);
  void plan_live_commit_write(Flight& flight, RedoLog& log);
  void plan_records(Flight& flight);
  void launch(Flight& flight) noexcept;
  void advance_locked() noexcept;
  void io_finished(FlightIo& io) noexcept;
  void stage_finished(Flight& flight) noexcept;
  void records_finished(Flight& flight) noexcept;
  void write_finished(Flight& flight) noexcept;
  void start_waiting_writes() noexcept;
  bool committing_makes_room() const noexcept;
  void found_no_room(Flight& flight) noexcept;
  void wait(Flight& flight) noexcept;
  void stop_or_finish(Flight& flight) noexcept;
  void retry_if_due() noexcept;
  void start_delayed() noexcept;
  void start_what_waited() noexcept;
  void ring_bell_at(Clock::time_point time) noexcept;
  void finish(Flight& flight) noexcept;
  void tell_finished() noexcept;
  void add_sync(Flight& flight, BlockFile& file);
  void write_record(RedoLog& log, const RedoLog::Run& run);
  bool judge(Flight& flight) noexcept;
  void judge_syncs() noexcept;
  void flush_finished(Flight& flight) noexcept;
  void note_flush_points(Flight& flight) noexcept;
  void plan_flush_points(Flight& flight);

  const std::unique_ptr<IoEngine> engine_;
  Policy policy_;    ///< mutex_ guards what changes of it
  BlockFile zeros_;  ///< what reads of zeros that lie nowhere are read from, in the same way as all else

  std::vector<std::unique_ptr<Flight>> flights_;  ///< all there are; the I/O thread's, as is the next
  std::vector<Flight*> idle_;

  mutable std::mutex mutex_;  ///< guards everything below
  std::shared_ptr<const LayerStack> stack_;
  std::uint64_t epoch_ = 1;
  std::shared_ptr<ChangedBlocks> changes_;   ///< by writes that were planned since the last switch
  std::unique_ptr<LiveCommit> live_commit_;  ///< while the active log is being emptied
  WriteOrder order_;
  std::vector<Flight*> unjudged_;  ///< their syncs have ended, but others have not that may know better
  /// Reads and flushes that wait for room, or because the host could not do them. Writes that do are in order_.
  std::vector<Flight*> waiting_;
  std::optional<Clock::time_point> retry_at_;  ///< while something waits for room
  bool commit_fails_ = false;                  ///< while something waits for room
  int stopped_by_ = 0;                         ///< while something waits that the host could not do: its errno
  bool stopped_by_full_log_ = false;
  bool go_on_ = false;
  bool giving_up_ = false;
  std::function<void()> on_no_room_, on_stop_;
  struct Delayed {
    Clock::time_point start;
    Flight* flight = nullptr;
  };
  std::deque<Delayed> delayed_;                   ///< by the limit on the rate
  std::optional<Clock::time_point> bell_due_at_;  ///< the engine will ring it then
  std::size_t in_flight_ = 0;         ///< requests of all kinds that have not finished, waiting writes included
  Flight* finished_first_ = nullptr;  ///< by the host; complete() tells their owners
  Flight* finished_last_ = nullptr;
};

}  // namespace tintype
