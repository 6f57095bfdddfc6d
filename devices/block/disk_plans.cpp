// SPDX-License-Identifier: Apache-2.0
// DiskCore's other half: how a request is laid out over the layers, and what remains to be done when its data
// has landed. The mutex is held throughout.

#include <cerrno>
#include <utility>

#include "devices/block/disk_core.h"

namespace tintype {

using log_format::kSlotsPerGroup;
using log_format::slot_offset;

namespace {

constexpr std::uint64_t kSectorsPerPart = (512 << 10) / kSectorSize;
constexpr std::uint64_t kZerosPerPart = (16 << 20) / kSectorSize;
constexpr auto kRetry = std::chrono::milliseconds(200);  ///< of what found no room

/// Host I/O points into `flight.records`, which must have room for it.
void add_record(Flight& flight, RedoLog& log, std::uint64_t offset, const log_format::Record& record) {
  auto& kept = flight.records.emplace_back(record);
  flight.add_io(HostIo::Kind::kWrite, log, offset).segments.push_back({&kept, sizeof kept});
}

}  // namespace

// A log may hold every sector of a request in another place. So requests are planned and done in parts while there are
// logs: neither the plan nor the time that the mutex is held grows with the request.
bool DiskCore::plan_next_part(Flight& flight) {
  if (flight.part.end >= flight.range.end) return false;
  const std::uint64_t part = flight.is_zero() ? kZerosPerPart : kSectorsPerPart;
  const std::uint64_t longest = stack_->logs.empty() ? flight.range.count() : part;
  flight.part = {flight.part.end, std::min(flight.range.end, flight.part.end + longest)};
  plan_part(flight);
  return true;
}

void DiskCore::plan_part(Flight& flight) {
  flight.clear_plan();
  flight.epoch = epoch_;  // it may have waited over a switch
  flight.stack = stack_;
  if (flight.request->operation == BlockOperation::kRead) return plan_read(flight);
  changes_->insert(flight.part);  // not when it has landed: that may be after the switch, and yet in what is frozen
  plan_write(flight);
}

void DiskCore::plan_read(Flight& flight) {
  flight.pieces.clear();
  resolve(*flight.stack, flight.part, flight.pieces);
  for (Piece& piece : flight.pieces) {
    if (piece.file == nullptr) piece = {piece.range, &zeros_, piece.range.start * kSectorSize};
    flight.add_transfer(HostIo::Kind::kRead, piece);
  }
}

// Whatever has been acknowledged lies in a layer of the stack: a log leaves the stack only when all of it is
// in the base, and durable there.
void DiskCore::plan_flush(Flight& flight) {
  if (!policy_.makes_durable) return;
  if (flight.stack->base->needs_sync()) add_sync(flight, *flight.stack->base);
  for (const auto& log : flight.stack->logs) {
    if (log->needs_sync() || log->has_unflushed_records()) add_sync(flight, *log);
    if (log->has_unflushed_records())
      flight.flush_points.push_back({log.get(), log->records_end(), log->records_written()});
  }
}

void DiskCore::add_sync(Flight& flight, BlockFile& file) {
  FlightIo& io = flight.add_io(HostIo::Kind::kSync, file, 0);
  io.covers = file.written();
  io.sync_number = file.begin_sync();
}

// Data and records are durable: now each log says so, durably too, and only then is the guest told.
void DiskCore::flush_finished(Flight& flight) noexcept {
  using Stage = Flight::FlushStage;
  if (flight.flush_stage == Stage::kSyncMarks && flight.error_number == 0) return note_flush_points(flight);
  if (flight.flush_stage == Stage::kNote) {  // whatever became of the note
    flight.error_number = 0;
    flight.no_room = false;
    return finish(flight);
  }
  std::erase_if(flight.flush_points, [](const Flight::FlushPoint& point) {
    return point.records_end <= point.log->flushed();  // another flush may have been quicker
  });
  if (flight.error_number == 0 && flight.no_room) {
    for (const Flight::FlushPoint& point : flight.flush_points) point.log->give_back_flush_slot(point.slot);
    return found_no_room(flight);
  }
  if (flight.error_number != 0 || flight.flush_points.empty()) return stop_or_finish(flight);
  flight.io_count = 0;
  if (flight.flush_stage == Stage::kSync) {
    flight.flush_stage = Stage::kMark;
    plan_flush_points(flight);
  } else {
    flight.flush_stage = Stage::kSyncMarks;
    for (const Flight::FlushPoint& point : flight.flush_points) add_sync(flight, *point.log);
  }
  launch(flight);
}

// The flush points are durable. That the header tells of them is for copies of the log that end too early, and needs no
// sync: a header that tells of an earlier one is right as well.
void DiskCore::note_flush_points(Flight& flight) noexcept {
  flight.flush_stage = Flight::FlushStage::kNote;
  flight.io_count = 0;
  flight.records.clear();
  for (const Flight::FlushPoint& point : flight.flush_points) {
    point.log->note_flushed(point.records_end);
    add_record(flight, *point.log, log_format::kLastFlushOffset, point.log->last_flush(point.slot));
  }
  launch(flight);
}

void DiskCore::plan_flush_points(Flight& flight) {
  flight.records.clear();
  flight.records.reserve(flight.flush_points.size());
  for (Flight::FlushPoint& point : flight.flush_points) {
    point.slot = point.log->take_flush_slot();
    add_record(flight, *point.log, slot_offset(point.slot),
               point.log->flush_record(point.records_end, point.records, point.slot));
  }
}

void DiskCore::start_write(Flight& flight) {
  order_.started(flight);
  flight.error_number = 0;
  if (std::exchange(flight.again, false)) {
    plan_part(flight);
  } else {
    plan_next_part(flight);
  }
  launch(flight);
}

void DiskCore::plan_write(Flight& flight) {
  RedoLog* const log = flight.stack->active();
  if (log == nullptr) {
    if (!flight.part.empty()) plan_base_write(flight, flight.part);
  } else if (live_commit_ != nullptr) {
    plan_live_commit_write(flight, *log);
  } else {
    plan_log_write(flight, *log, flight.part);
  }
}

void DiskCore::plan_base_write(Flight& flight, const SectorRange& range) {
  RawFile& base = *flight.stack->base;
  const Piece piece{range, &base, range.start * kSectorSize};
  if (flight.is_zero()) {
    flight.add_zeros(piece);
  } else {
    flight.add_transfer(HostIo::Kind::kWrite, piece);
  }
}

void DiskCore::plan_log_write(Flight& flight, RedoLog& log, const SectorRange& range) {
  if (flight.is_zero()) return plan_log_zeros(flight, log, range);
  flight.places.clear();
  log.place(range, flight.places);
  for (const RedoLog::Place& place : flight.places) {
    flight.add_transfer(HostIo::Kind::kWrite, {place.range, &log, place.position * kSectorSize});
    if (place.is_new) flight.growths.push_back({place, &log});
  }
}

// The log says by a record that the sectors are zeros. Room that their data had remains theirs, but need not be filled.
// Should the power be cut before the record lasts, the sectors are zeros or what they were, as after any write.
void DiskCore::plan_log_zeros(Flight& flight, RedoLog& log, const SectorRange& range) {
  if (log.index().holds_only_zeros(range)) return;
  if (flight.request->may_unmap) overwrite_with_zeros(flight, log, range);
  flight.growths.push_back({{range, ExtentIndex::kNoRoom, true}, &log});
}

// The data that the log holds becomes zeros where it lies. No record is needed.
void DiskCore::overwrite_with_zeros(Flight& flight, RedoLog& log, const SectorRange& range) {
  for (auto extent = log.index().at_or_after(range.start); extent && extent->range.start < range.end;
       extent = log.index().at_or_after(extent->range.end)) {
    const ExtentIndex::Extent held = extent->cut_to(range);
    if (!held.zeros) flight.add_zeros({held.range, &log, held.position * kSectorSize});
  }
}

// A log that is on its way into what lies below, which is the base or a log that is kept. What becomes zeros is
// overwritten there, so that no record is needed. Where it says that there are zeros, though, data needs one: each
// sector at most once, and both have the same all the time.
void DiskCore::plan_live_commit_write(Flight& flight, RedoLog& log) {
  RedoLog* const kept = flight.stack->commits_into();
  std::vector<LiveCommit::Part> parts;
  live_commit_->route(flight.part, parts);
  for (const LiveCommit::Part& part : parts) {
    if (part.target == LiveCommit::Target::kLog) continue;
    if (kept != nullptr) {
      plan_log_write(flight, *kept, part.range);
    } else {
      plan_base_write(flight, part.range);
    }
    if (part.target == LiveCommit::Target::kBoth) flight.mirrored.push_back(part.range);
  }
  for (const LiveCommit::Part& part : parts) {
    if (part.target == LiveCommit::Target::kBase) continue;
    if (flight.is_zero()) {
      overwrite_with_zeros(flight, log, part.range);
    } else {
      plan_log_write(flight, log, part.range);
    }
  }
}

void DiskCore::write_finished(Flight& flight) noexcept {
  if (!flight.records.empty()) {
    records_finished(flight);
  } else if (!flight.growths.empty() && flight.error_number == 0 && !flight.no_room) {
    if (!flight.growths.front().log->is_volatile()) return plan_records(flight);
    for (const Flight::Growth& growth : flight.growths) growth.log->note(growth);
  } else {
    for (const Flight::Growth& growth : flight.growths) growth.log->give_back(growth);
  }
  if (live_commit_ != nullptr && flight.stack->active() == stack_->active()) {
    const bool succeeded = flight.error_number == 0 && !flight.no_room;
    for (const SectorRange& range : flight.mirrored) live_commit_->mirrored(range, succeeded);
  }
  if (flight.error_number == 0 && !flight.no_room && plan_next_part(flight)) return launch(flight);
  order_.finished(flight);
  if (flight.error_number == 0 && flight.no_room) {
    found_no_room(flight);
  } else {
    stop_or_finish(flight);
  }
  start_waiting_writes();
}

void DiskCore::start_waiting_writes() noexcept {
  if (retry_at_ || stopped_by_ != 0) return;  // all at once, when it is time
  while (Flight* const next = order_.release()) start_write(*next);
}

/// A log that goes into the base gives back its room. One that is kept does not, nor does one that goes into that.
bool DiskCore::committing_makes_room() const noexcept { return stack_->kept == 0 && !commit_fails_; }

// The file system of the logs is full. Where a commit makes room the guest is not told: its disk has room. The request
// takes its place before those that overlap it, and is planned anew when there may be room: then perhaps in a base
// without logs. Else only the user can make room, and it is an error as any other.
void DiskCore::found_no_room(Flight& flight) noexcept {
  const bool waits = committing_makes_room() && !giving_up_;
  if (!waits) flight.error_number = ENOSPC;
  if (on_no_room_ && !retry_at_ && !giving_up_) on_no_room_();
  if (!waits) return stop_or_finish(flight);
  wait(flight);
  if (retry_at_) return;
  retry_at_ = Clock::now() + kRetry;
  ring_bell_at(*retry_at_);
}

void DiskCore::wait(Flight& flight) noexcept {
  flight.again = true;
  if (flight.is_write()) {
    order_.put_back(flight);
  } else {
    waiting_.push_back(&flight);
  }
}

// The host cannot do it. Where the machine is to be stopped for that, the request waits, and whoever stops it is told;
// always where what it wants is to come from a checkpoint: that can be mended, and no disk fails in this way. A flush
// that the host could not do waits as well, so that somebody may look at the host while nothing more is written.
void DiskCore::stop_or_finish(Flight& flight) noexcept {
  const bool waits = flight.error_number != 0 && (policy_.stops_on_errors || flight.is_absent) && !giving_up_;
  if (!waits) return finish(flight);
  const bool first = stopped_by_ == 0;
  stopped_by_ = flight.error_number;
  stopped_by_full_log_ = flight.no_room;
  wait(flight);
  if (first && on_stop_) on_stop_();
}

void DiskCore::retry_if_due() noexcept {
  const auto now = Clock::now();
  if (bell_due_at_ && *bell_due_at_ <= now) bell_due_at_.reset();
  if (std::exchange(go_on_, false) || (retry_at_ && *retry_at_ <= now && stopped_by_ == 0)) start_what_waited();
  if (retry_at_ && stopped_by_ == 0) ring_bell_at(*retry_at_);
}

void DiskCore::start_what_waited() noexcept {
  retry_at_.reset();
  stopped_by_ = 0;
  for (Flight* const flight : std::exchange(waiting_, {})) {
    flight->again = false;
    const bool lost = flight->has_lost_writes();
    if (lost && !flight->may_fail && !giving_up_) {  // it failed just now
      stop_or_finish(*flight);
      continue;
    }
    // What the host has lost it will not find when it is asked again: the guest is told.
    if (giving_up_ || lost) {
      if (flight->error_number == 0) flight->error_number = ENOSPC;
      finish(*flight);
      continue;
    }
    flight->error_number = 0;
    if (flight->is_flush()) {
      flight->clear_plan();
      flight->stack = stack_;
      plan_flush(*flight);
    } else {
      plan_part(*flight);
    }
    launch(*flight);
  }
  start_waiting_writes();
}

// The data has landed; only now may a record say so. Neighbouring slots are written in one go.
void DiskCore::plan_records(Flight& flight) {
  for (const Flight::Growth& growth : flight.growths) {
    flight.slots.push_back(growth.log->take_slot());
    flight.records.push_back(growth.log->record_of(growth, flight.slots.back()));
  }
  flight.io_count = 0;
  for (std::size_t i = 0; i < flight.records.size(); ++i) {
    const iovec bytes{&flight.records[i], sizeof flight.records[i]};
    RedoLog& log = *flight.growths[i].log;
    const bool continues = i > 0 && flight.growths[i - 1].log == &log && flight.slots[i] == flight.slots[i - 1] + 1 &&
                           flight.slots[i] % kSlotsPerGroup != 0;
    FlightIo& io = continues ? flight.ios[flight.io_count - 1]
                             : flight.add_io(HostIo::Kind::kWrite, log, slot_offset(flight.slots[i]));
    io.segments.push_back(bytes);
  }
  launch(flight);
}

// A record that could not be written may have been written all the same (a short write, for one). Were it
// forgotten here but found after a crash, it would bring back old data over newer: so look, and believe the
// file.
void DiskCore::records_finished(Flight& flight) noexcept {
  bool all = true;
  for (std::size_t i = 0; i < flight.records.size(); ++i) {
    const Flight::Growth& growth = flight.growths[i];
    const bool written = flight.error_number == 0 && !flight.no_room;
    const bool there = written || growth.log->has_record(flight.records[i], flight.slots[i]);
    if (there) growth.log->note(growth);
    if (!there && flight.no_room) growth.log->give_back(growth);
    all = all && there;
  }
  if (!all) return;
  flight.error_number = 0;
  flight.no_room = false;
}

}  // namespace tintype
