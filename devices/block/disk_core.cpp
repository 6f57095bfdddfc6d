// SPDX-License-Identifier: Apache-2.0
#include "devices/block/disk_core.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

constexpr auto kSyncPoll = std::chrono::microseconds(200);

void write_at(RedoLog& log, const log_format::Record& record, std::uint64_t offset) {
  write_exactly(log.fd(), std::as_bytes(std::span(&record, 1)), offset, log.path().string());
}

}  // namespace

DiskCore::DiskCore(std::shared_ptr<const LayerStack> stack, std::unique_ptr<IoEngine> engine, const Policy& policy)
    : engine_(std::move(engine)),
      policy_(policy),
      zeros_("/dev/zero", open_file("/dev/zero", O_RDONLY)),
      stack_(std::move(stack)) {
  changes_ = std::make_shared<ChangedBlocks>(stack_->base->size() / kSectorSize);
  changes_->insert_all();  // nobody knows what has changed, or since when
}

Flight& DiskCore::take_flight(BlockRequest& request) {
  if (idle_.empty()) {
    flights_.push_back(std::make_unique<Flight>());
    idle_.push_back(flights_.back().get());
  }
  Flight& flight = *idle_.back();
  idle_.pop_back();
  flight.reset(request);
  return flight;
}

void DiskCore::submit(BlockRequest& request) noexcept {
  Flight& flight = take_flight(request);
  const std::lock_guard lock(mutex_);
  ++in_flight_;
  if (request.operation == BlockOperation::kFlush || giving_up_) return start(flight);
  const auto now = Clock::now();
  const auto time = policy_.limit.admit(now, flight.range.count() * kSectorSize);
  if (time <= now && delayed_.empty()) return start(flight);
  delayed_.push_back({time, &flight});
  ring_bell_at(delayed_.front().start);
}

void DiskCore::start_delayed() noexcept {
  while (!delayed_.empty() && (delayed_.front().start <= Clock::now() || giving_up_)) {
    Flight& flight = *delayed_.front().flight;
    delayed_.pop_front();
    start(flight);
  }
  if (!delayed_.empty()) ring_bell_at(delayed_.front().start);
}

// An engine may know of one time only: who comes to wait for a later one is looked at again when that is over.
void DiskCore::ring_bell_at(Clock::time_point time) noexcept {
  if (bell_due_at_ && *bell_due_at_ <= time) return;
  bell_due_at_ = time;
  engine_->ring_bell_after(
      std::chrono::ceil<std::chrono::milliseconds>(std::max(Clock::duration::zero(), time - Clock::now())));
}

void DiskCore::start(Flight& flight) {
  flight.epoch = epoch_;
  flight.stack = stack_;
  switch (flight.request->operation) {
    case BlockOperation::kRead:
      plan_next_part(flight);
      return launch(flight);
    case BlockOperation::kFlush:
      plan_flush(flight);
      return launch(flight);
    case BlockOperation::kWrite:
    case BlockOperation::kZero:
      break;
  }
  if (policy_.read_only) {
    flight.error_number = EROFS;
    return finish(flight), engine_->ring_bell();
  }
  if (order_.may_start(flight)) start_write(flight);
}

void DiskCore::launch(Flight& flight) noexcept {
  flight.outstanding = flight.io_count;
  if (flight.outstanding == 0) {
    stage_finished(flight);  // nothing to do, or refused
    engine_->ring_bell();
    return;
  }
  for (std::size_t i = 0; i < flight.io_count; ++i) {
    FlightIo& io = flight.ios[i];
    if (!io.segments.empty()) io.fd = io.file->fd_for(io.offset, io.segments);
    engine_->queue(io);
  }
}

void DiskCore::advance_locked() noexcept {
  while (HostIo* const io = engine_->reap()) io_finished(static_cast<FlightIo&>(*io));
}

void DiskCore::io_finished(FlightIo& io) noexcept {
  Flight& flight = *io.flight;
  flight.is_absent |= io.is_absent;
  const bool may_be_lost = flight.flush_stage == Flight::FlushStage::kNote;
  if ((io.kind == HostIo::Kind::kWrite && !may_be_lost) || io.kind == HostIo::Kind::kZero) io.file->note_write();
  if (io.kind == HostIo::Kind::kSync) {
    if (!io.is_absent) io.file->note_sync(io.covers, io.error_number);
    io.file->end_sync(io.sync_number);
    io.last_sync = io.file->syncs_begun();
    if (io.is_absent) flight.error_number = io.error_number;
  } else if ((io.error_number == ENOSPC || io.error_number == EDQUOT) && io.file != flight.stack->base.get()) {
    flight.no_room = true;
  } else if (flight.error_number == 0) {
    flight.error_number = io.error_number;
  }
  if (--flight.outstanding == 0) stage_finished(flight);
  if (io.kind == HostIo::Kind::kSync) judge_syncs();
}

void DiskCore::stage_finished(Flight& flight) noexcept {
  if (flight.io_count > 0 && flight.ios[0].kind == HostIo::Kind::kSync) return unjudged_.push_back(&flight);
  if (flight.request == nullptr) return;
  if (flight.is_write()) return write_finished(flight);
  if (flight.request->operation == BlockOperation::kFlush) return flush_finished(flight);
  if (flight.error_number != 0 || !plan_next_part(flight)) return stop_or_finish(flight);
  launch(flight);
  engine_->ring_bell();  // we may be in a thread that must not submit reads
}

bool DiskCore::judge(Flight& flight) noexcept {
  for (std::size_t i = 0; i < flight.io_count; ++i) {
    if (!flight.ios[i].file->syncs_ended(flight.ios[i].last_sync)) return false;
  }
  for (std::size_t i = 0; i < flight.io_count; ++i) {
    if (flight.error_number == 0) flight.error_number = flight.ios[i].file->sync_error();
  }
  return true;
}

void DiskCore::judge_syncs() noexcept {
  std::vector<Flight*> judged;
  std::erase_if(unjudged_, [&](Flight* flight) { return judge(*flight) && (judged.push_back(flight), true); });
  for (Flight* const flight : judged) {
    flight->io_count = 0;
    if (flight->request != nullptr) flush_finished(*flight);
  }
  if (!judged.empty()) engine_->ring_bell();
}

void DiskCore::sync(BlockFile& file) {
  Flight flight;
  {
    const std::lock_guard lock(mutex_);
    add_sync(flight, file);
    launch(flight);
  }
  engine_->kick_writes();
  for (bool ended = false; !ended;) {
    std::this_thread::sleep_for(kSyncPoll);
    {
      const std::lock_guard lock(mutex_);
      advance_locked();
      ended = flight.io_count == 0;
      if (finished_first_ != nullptr) engine_->ring_bell();
    }
    engine_->kick_writes();
  }
  if (flight.error_number != 0) throw_errno_text(flight.error_number, "fdatasync " + file.path().string());
}

void DiskCore::flush_log(RedoLog& log) {
  if (log.is_volatile()) return;
  std::uint64_t records_end = 0, records = 0, slot = 0;
  {
    const std::lock_guard lock(mutex_);
    records_end = log.records_end();
    records = log.records_written();
  }
  sync(log);
  {
    const std::lock_guard lock(mutex_);
    slot = log.take_flush_slot();
  }
  write_at(log, log.flush_record(records_end, records, slot), log_format::slot_offset(slot));
  log.note_write();
  sync(log);
  try {
    write_at(log, log.last_flush(slot), log_format::kLastFlushOffset);
  } catch (const std::system_error&) {  // a note that is missing says less, and nothing wrong
  }
  const std::lock_guard lock(mutex_);
  log.note_flushed(records_end);
}

std::vector<RedoLog::Place> DiskCore::take_places(RedoLog& log, const SectorRange& range) {
  std::vector<RedoLog::Place> places;
  const std::lock_guard lock(mutex_);
  log.place(range, places);
  return places;
}

void DiskCore::note_copied(RedoLog& log, const RedoLog::Run& run) {
  if (!log.is_volatile()) write_record(log, run);
  const std::lock_guard lock(mutex_);
  log.note(run);
}

void DiskCore::write_record(RedoLog& log, const RedoLog::Run& run) {
  std::uint64_t slot = 0;
  {
    const std::lock_guard lock(mutex_);
    slot = log.take_slot();
  }
  write_at(log, log.record_of(run, slot), log_format::slot_offset(slot));
  log.note_write();
}

void DiskCore::finish(Flight& flight) noexcept {
  flight.stack.reset();
  (finished_last_ == nullptr ? finished_first_ : finished_last_->next) = &flight;
  finished_last_ = &flight;
  --in_flight_;
}

void DiskCore::complete() noexcept {
  engine_->acknowledge();
  tell_finished();
}

bool DiskCore::poll() noexcept {
  if (!engine_->has_finished()) return false;
  tell_finished();
  return true;
}

void DiskCore::tell_finished() noexcept {
  Flight* finished = nullptr;
  {
    const std::lock_guard lock(mutex_);
    advance_locked();
    retry_if_due();
    start_delayed();
    finished = std::exchange(finished_first_, nullptr);
    finished_last_ = nullptr;
  }
  engine_->kick();
  while (finished != nullptr) {  // without the lock: `done` may submit the next request
    Flight& flight = *finished;
    finished = flight.next;
    BlockRequest& request = *flight.request;
    const int error_number = flight.error_number;
    idle_.push_back(&flight);
    request.done(request, error_number);
  }
}

void DiskCore::give_up_waiting() noexcept {
  {
    const std::lock_guard lock(mutex_);
    giving_up_ = true;
    start_what_waited();
    start_delayed();
  }
  engine_->kick();
}

void DiskCore::wait_again() noexcept {
  const std::lock_guard lock(mutex_);
  giving_up_ = false;
}

void DiskCore::make_durable() noexcept {
  const std::lock_guard lock(mutex_);
  policy_.makes_durable = true;
}

void DiskCore::set_on_stop(std::function<void()> on_stop) {
  const std::lock_guard lock(mutex_);
  on_stop_ = std::move(on_stop);
  if (stopped_by_ != 0 && on_stop_) on_stop_();
}

int DiskCore::stopped_by() const noexcept {
  const std::lock_guard lock(mutex_);
  return stopped_by_;
}

bool DiskCore::waits_for_user() const noexcept {
  const std::lock_guard lock(mutex_);
  return stopped_by_ != 0 && !go_on_;
}

bool DiskCore::stopped_by_full_log() const noexcept {
  const std::lock_guard lock(mutex_);
  return stopped_by_ != 0 && stopped_by_full_log_;
}

// Whoever goes on has made room, perhaps for a commit.
void DiskCore::go_on() noexcept {
  const std::lock_guard lock(mutex_);
  if (stopped_by_ == 0) return;
  go_on_ = true;
  commit_fails_ = false;
  for (Flight* const flight : waiting_) flight->may_fail = true;
  engine_->ring_bell();
}

bool DiskCore::has_lost_writes() const noexcept {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(waiting_, [](const Flight* flight) { return flight->has_lost_writes(); });
}

bool DiskCore::waits_for_room() const noexcept {
  const std::lock_guard lock(mutex_);
  return retry_at_.has_value();
}

// A failure says something to those only who wait for room just now: later there may be some.
void DiskCore::note_commit(bool fails) noexcept {
  const std::lock_guard lock(mutex_);
  commit_fails_ = fails && retry_at_.has_value();
}

bool DiskCore::idle() noexcept {
  bool idle = false;
  {
    const std::lock_guard lock(mutex_);
    advance_locked();
    start_delayed();  // nobody else may do it
    idle = in_flight_ == 0;
  }
  engine_->kick();
  return idle;
}

bool DiskCore::is_busy() const noexcept {
  const std::lock_guard lock(mutex_);
  return in_flight_ > 0;
}

bool DiskCore::writes_landed(std::uint64_t epoch) noexcept {
  bool landed = false;
  {
    const std::lock_guard lock(mutex_);
    advance_locked();
    landed = !order_.in_flight_since(epoch);
    // What has been reaped here, the I/O thread must hear of: its bell may have rung before.
    if (finished_first_ != nullptr) engine_->ring_bell();
  }
  engine_->kick_writes();
  return landed;
}

}  // namespace tintype
