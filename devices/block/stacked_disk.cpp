// SPDX-License-Identifier: Apache-2.0
#include "devices/block/stacked_disk.h"

#include <chrono>
#include <thread>

#include "vmm/base/error.h"

namespace tintype {
namespace {

constexpr int kDrainLimitMs = 300'000;

void check_options(const DiskOptions& options) {
  if (options.mode != DiskMode::kPersistent) {
    throw UsageError("the disk {} cannot be undoable or nonpersistent yet: this build offers only mode=persistent",
                     options.image.string());
  }
  if (options.serial.size() > 20) {
    throw UsageError("the serial number \"{}\" of the disk {} is longer than 20 bytes: give a shorter one", options.serial,
                     options.image.string());
  }
}

}  // namespace

std::unique_ptr<VirtualDisk> VirtualDisk::open(const DiskOptions& options) {
  return std::make_unique<StackedDisk>(options, DiskTuning{});
}

StackedDisk::StackedDisk(const DiskOptions& options, const DiskTuning& tuning) : options_(options) {
  check_options(options_);
  base_ = RawFile::open(options_.image, options_.read_only);
  engine_ = make_io_engine(tuning.engine);
}

StackedDisk::~StackedDisk() {
  try {
    wait_for_flights();  // the host may still be writing into memory that is about to go
  } catch (const std::exception&) {
    check(false, "a disk's I/O ends before the disk does");
  }
}

std::string StackedDisk::serial() const { return options_.serial.empty() ? options_.id : options_.serial; }

Flight& StackedDisk::take_flight(BlockRequest& request) {
  if (idle_.empty()) {
    flights_.push_back(std::make_unique<Flight>());
    idle_.reserve(flights_.size());
    idle_.push_back(flights_.back().get());
  }
  Flight& flight = *idle_.back();
  idle_.pop_back();
  flight.reset(&request);
  ++in_flight_;
  return flight;
}

void StackedDisk::submit(BlockRequest& request) noexcept {
  const std::lock_guard lock(mutex_);
  Flight& flight = take_flight(request);
  plan(flight);
  launch(flight);
}

void StackedDisk::plan(Flight& flight) {
  const BlockRequest& request = *flight.request;
  if (request.operation == BlockOperation::kFlush) return plan_flush(flight);
  if (request.operation == BlockOperation::kWrite && options_.read_only) {
    flight.error_number = EROFS;
    return;
  }
  const auto kind = request.operation == BlockOperation::kRead ? HostIo::Kind::kRead : HostIo::Kind::kWrite;
  if (!request.segments.empty()) flight.add_io(kind, *base_, request.offset).segments = request.segments;
}

void StackedDisk::plan_flush(Flight& flight) {
  if (base_->needs_sync()) flight.add_io(HostIo::Kind::kSync, *base_, 0).covers = base_->written();
}

void StackedDisk::launch(Flight& flight) noexcept {
  flight.outstanding = flight.io_count;
  if (flight.outstanding == 0) {
    finish(flight);
    engine_->ring_bell();
    return;
  }
  for (std::size_t i = 0; i < flight.io_count; ++i) engine_->queue(flight.ios[i]);
}

void StackedDisk::io_finished(FlightIo& io) noexcept {
  if (io.kind == HostIo::Kind::kWrite) io.file->note_write();
  if (io.kind == HostIo::Kind::kSync) {
    io.file->note_sync(io.covers, io.error_number);
    io.error_number = io.file->sync_error();
  }
  Flight& flight = *io.flight;
  if (flight.error_number == 0) flight.error_number = io.error_number;
  if (--flight.outstanding == 0) finish(flight);
}

void StackedDisk::finish(Flight& flight) noexcept {
  (finished_last_ == nullptr ? finished_first_ : finished_last_->next) = &flight;
  finished_last_ = &flight;
  --in_flight_;
}

void StackedDisk::advance() noexcept {
  while (HostIo* const io = engine_->reap()) io_finished(static_cast<FlightIo&>(*io));
}

void StackedDisk::complete() noexcept {
  engine_->acknowledge();
  Flight* finished = nullptr;
  {
    const std::lock_guard lock(mutex_);
    advance();
    finished = std::exchange(finished_first_, nullptr);
    finished_last_ = nullptr;
  }
  engine_->kick();
  while (finished != nullptr) {  // without the lock: `done` may submit the next request
    Flight& flight = *finished;
    finished = flight.next;
    BlockRequest& request = *flight.request;
    const int error_number = flight.error_number;
    {
      const std::lock_guard lock(mutex_);
      idle_.push_back(&flight);
    }
    request.done(request, error_number);
  }
}

void StackedDisk::prepare_switch() { throw Error("redo logs are not built yet"); }

std::unique_ptr<FrozenDisk> StackedDisk::switch_to_fresh_log() noexcept {
  check(false, "prepare_switch() comes before switch_to_fresh_log()");
  return nullptr;
}

void StackedDisk::cancel_switch() noexcept {}

void StackedDisk::start_fold(std::function<void(std::string error)> on_done) {
  if (on_done) on_done({});
}

void StackedDisk::wait_for_flights() {
  for (int waited = 0;; ++waited) {
    engine_->kick();
    {
      const std::lock_guard lock(mutex_);
      advance();
      if (in_flight_ == 0) return;
    }
    if (waited > kDrainLimitMs) throw Error("the host does not finish I/O to {}", base_->path().string());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void StackedDisk::close() {
  wait_for_flights();
  complete();
  if (base_->needs_sync()) base_->sync();
}

}  // namespace tintype
