// SPDX-License-Identifier: Apache-2.0
// DiskCore's other half: how a request is laid out over the layers, and what remains to be done when its data
// has landed. The mutex is held throughout.

#include "devices/block/disk_core.h"

namespace tintype {

using log_format::kSlotsPerGroup;
using log_format::slot_offset;

namespace {

constexpr std::uint64_t kSectorsPerPart = (512 << 10) / kSectorSize;
constexpr auto kRetry = std::chrono::milliseconds(200);  ///< of what found no room

}  // namespace

// A log may hold every sector of a request in another place. So requests are planned and done in parts while there are
// logs: neither the plan nor the time that the mutex is held grows with the request.
bool DiskCore::plan_next_part(Flight& flight) {
  if (flight.part.end >= flight.range.end) return false;
  const std::uint64_t longest = stack_->logs.empty() ? flight.range.count() : kSectorsPerPart;
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
  for (const Piece& piece : flight.pieces) flight.add_transfer(HostIo::Kind::kRead, piece);
}

// Whatever has been acknowledged lies in a layer of the stack: a log leaves the stack only when all of it is
// in the base, and durable there.
void DiskCore::plan_flush(Flight& flight) {
  if (!makes_durable_) return;
  if (flight.stack->base->needs_sync()) add_sync(flight, *flight.stack->base);
  for (const auto& log : flight.stack->logs) {
    if (log->needs_sync() || log->has_unflushed_records()) add_sync(flight, *log);
    if (log->has_unflushed_records()) flight.flush_points.push_back({log.get(), log->records_end()});
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
  std::erase_if(flight.flush_points, [&](const Flight::FlushPoint& point) {
    if (flight.flush_stage == Stage::kSyncMarks && flight.error_number == 0) point.log->note_flushed(point.records_end);
    return point.records_end <= point.log->flushed();  // another flush may have been quicker
  });
  if (flight.error_number == 0 && flight.no_room) {
    for (const Flight::FlushPoint& point : flight.flush_points) point.log->give_back_flush_slot(point.slot);
    return wait_for_room(flight);
  }
  if (flight.error_number != 0 || flight.flush_points.empty()) return finish(flight);
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

void DiskCore::plan_flush_points(Flight& flight) {
  flight.records.clear();
  flight.records.reserve(flight.flush_points.size());  // host I/O points into it
  for (Flight::FlushPoint& point : flight.flush_points) {
    point.slot = point.log->take_flush_slot();
    auto& record = flight.records.emplace_back(point.log->flush_record(point.records_end, point.slot));
    flight.add_io(HostIo::Kind::kWrite, *point.log, slot_offset(point.slot))
        .segments.push_back({&record, sizeof record});
  }
}

void DiskCore::start_write(Flight& flight) {
  order_.started(flight);
  if (flight.no_room) {
    plan_part(flight);
  } else {
    plan_next_part(flight);
  }
  launch(flight);
}

void DiskCore::plan_write(Flight& flight) {
  RedoLog* const log = flight.stack->active();
  if (log == nullptr) {
    if (flight.part.empty()) return;
    flight.add_transfer(HostIo::Kind::kWrite, {flight.part, flight.stack->base.get(), flight.part.start * kSectorSize});
  } else if (live_commit_ != nullptr) {
    plan_live_commit_write(flight, *log);
  } else {
    plan_log_write(flight, *log, flight.part);
  }
}

void DiskCore::plan_log_write(Flight& flight, RedoLog& log, const SectorRange& range) {
  flight.places.clear();
  log.place(range, flight.places);
  flight.grows = &log;
  for (const RedoLog::Place& place : flight.places) {
    flight.add_transfer(HostIo::Kind::kWrite, {place.range, &log, place.position * kSectorSize});
    if (place.is_new) flight.appended.push_back(place);
  }
}

// What the log goes into is the base, or a log that is kept.
void DiskCore::plan_live_commit_write(Flight& flight, RedoLog& log) {
  RedoLog* const kept = flight.stack->commits_into();
  std::vector<LiveCommit::Part> parts;
  live_commit_->route(flight.part, parts);
  for (const LiveCommit::Part& part : parts) {
    if (part.target == LiveCommit::Target::kLog) continue;
    if (kept != nullptr) {
      plan_log_write(flight, *kept, part.range);
    } else {
      flight.add_transfer(HostIo::Kind::kWrite, {part.range, flight.stack->base.get(), part.range.start * kSectorSize});
    }
    if (part.target == LiveCommit::Target::kBoth) flight.mirrored.push_back(part.range);
  }
  for (const LiveCommit::Part& part : parts) {
    if (part.target != LiveCommit::Target::kBase) {
      flight.add_transfer(HostIo::Kind::kWrite, {part.range, &log, part.position * kSectorSize});
    }
  }
}

void DiskCore::write_finished(Flight& flight) noexcept {
  if (!flight.records.empty()) {
    records_finished(flight);
  } else if (!flight.appended.empty() && flight.error_number == 0 && !flight.no_room) {
    if (!flight.grows->is_volatile()) return plan_records(flight);
    for (const RedoLog::Run& run : flight.appended) flight.grows->index().insert(run.range, run.position);
  } else {
    for (const RedoLog::Run& run : flight.appended) flight.grows->give_back(run);
  }
  if (live_commit_ != nullptr && flight.stack->active() == stack_->active()) {
    const bool succeeded = flight.error_number == 0 && !flight.no_room;
    for (const SectorRange& range : flight.mirrored) live_commit_->mirrored(range, succeeded);
  }
  if (flight.error_number == 0 && !flight.no_room && plan_next_part(flight)) return launch(flight);
  order_.finished(flight);
  if (flight.error_number == 0 && flight.no_room) {
    wait_for_room(flight);
  } else {
    finish(flight);
  }
  start_waiting_writes();
}

void DiskCore::start_waiting_writes() noexcept {
  if (retry_at_) return;  // all at once, when it is time
  while (Flight* const next = order_.release()) start_write(*next);
}

// The file system of the logs is full. The guest is not told: its disk has room. The request takes its place before
// those that overlap it, and is planned anew when there may be room: then perhaps in a base without logs.
void DiskCore::wait_for_room(Flight& flight) noexcept {
  if (giving_up_) {
    flight.error_number = ENOSPC;
    return finish(flight);
  }
  if (flight.request->operation == BlockOperation::kWrite) {
    order_.put_back(flight);
  } else {
    waiting_flushes_.push_back(&flight);
  }
  if (!retry_at_) {
    retry_at_ = Clock::now() + kRetry;
    engine_->ring_bell_after(kRetry);
    if (on_no_room_) on_no_room_();
  }
}

void DiskCore::retry_if_due() noexcept {
  if (!retry_at_ || (Clock::now() < *retry_at_ && !giving_up_)) return;
  retry_at_.reset();
  for (Flight* const flush : std::exchange(waiting_flushes_, {})) {
    flush->clear_plan();
    flush->stack = stack_;
    plan_flush(*flush);
    launch(*flush);
  }
  start_waiting_writes();
}

// The data has landed; only now may a record say so. Neighbouring slots are written in one go.
void DiskCore::plan_records(Flight& flight) {
  RedoLog& log = *flight.grows;
  for (const RedoLog::Run& run : flight.appended) {
    flight.slots.push_back(log.take_slot());
    flight.records.push_back(log.hold_record(run, flight.slots.back()));
  }
  flight.io_count = 0;
  for (std::size_t i = 0; i < flight.records.size(); ++i) {
    const iovec bytes{&flight.records[i], sizeof flight.records[i]};
    const bool continues = i > 0 && flight.slots[i] % kSlotsPerGroup != 0;
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
  RedoLog& log = *flight.grows;
  bool all = true;
  for (std::size_t i = 0; i < flight.records.size(); ++i) {
    const bool written = flight.error_number == 0 && !flight.no_room;
    const bool there = written || log.has_record(flight.records[i], flight.slots[i]);
    if (there) log.index().insert(flight.appended[i].range, flight.appended[i].position);
    if (!there && flight.no_room) log.give_back(flight.appended[i]);
    all = all && there;
  }
  if (!all) return;
  flight.error_number = 0;
  flight.no_room = false;
}

}  // namespace tintype
