// SPDX-License-Identifier: Apache-2.0
#include "guest-images/ledger/ledger.h"

#include "guest-images/runtime/console.h"
#include "guest-images/runtime/interrupts.h"
#include "guest-images/runtime/patience.h"
#include "guest-images/runtime/timer.h"

namespace tintype::guest {
namespace {

constexpr std::uint32_t kBufferSize = Layout::kMaxSectors * kSectorSize;
constexpr std::uint32_t kCom1Pin = 4;

constexpr Medium disk_medium(std::uint32_t disk) { return disk == 0 ? Medium::kDisk0 : Medium::kDisk1; }

}  // namespace

Ledger::Ledger(const Parameters& parameters, const Layout& layout, std::uint64_t nonce, Disk* disks,
               Witnesses& witnesses, std::uint8_t* memory)
    : parameters_(parameters),
      layout_(layout),
      nonce_(nonce),
      disks_(disks),
      witnesses_(witnesses),
      book_(layout, nonce, memory),
      ram_(memory + Book::bytes(layout)) {
  std::uint8_t* buffers = ram_ + layout_.sectors() * kSectorSize;
  for (std::uint32_t i = 0; i != parameters_.lanes; ++i)
    for (std::uint8_t*& buffer : lanes_[i].buffers) {
      buffer = buffers;
      buffers += kBufferSize;
    }
  // Input that came before we listened raises no interrupt any more: look once.
  heard_ = ~std::uint64_t{0};
}

std::uint64_t Ledger::bytes(const Parameters& parameters, const Layout& layout) {
  return Book::bytes(layout) + layout.sectors() * kSectorSize + std::uint64_t{parameters.lanes} * kDisks * kBufferSize;
}

std::uint8_t Ledger::run() {
  enable_interrupt(kCom1Pin);
  interrupt_on_input();
  while (!finished_ && !failed_) {
    const std::uint64_t seen = interrupts_taken(0);
    const bool progress = serve_disks();
    refill();
    for (std::uint32_t disk = 0; disk != kDisks; ++disk) disks_[disk].kick();
    if (!failed_) failed_ = !witnesses_.tell(issued_);
    listen();
    report();
    watch(progress);
    if (!progress && !parameters_.polled && !finished_ && !failed_) wait_for_interrupt(0, seen);
  }
  return failed_ ? 1 : 0;
}

// --- What comes from outside --------------------------------------------------------------------

bool Ledger::disk_has_news(std::uint32_t disk) const {
  if (parameters_.polled) return disks_[disk].pending();
  return interrupts_taken(0, disks_[disk].interrupt_vector()) != served_[disk];
}

// The queues are looked at only after an interrupt (unless polled), so that a lost one is noticed.
bool Ledger::serve_disks() {
  bool progress = false;
  for (std::uint32_t disk = 0; disk != kDisks; ++disk) {
    if (!disk_has_news(disk)) continue;
    served_[disk] = interrupts_taken(0, disks_[disk].interrupt_vector());
    if (!parameters_.polled) disks_[disk].acknowledge_interrupt();
    Disk::Completion completion;
    while (!failed_ && disks_[disk].take(completion)) {
      complete(disk, completion);
      progress = true;
    }
  }
  return progress;
}

void Ledger::listen() {
  const std::uint64_t interrupts = interrupts_taken(0, vector_of_pin(kCom1Pin));
  if (interrupts == heard_) return;
  heard_ = interrupts;
  for (int byte = read_byte(); byte >= 0; byte = read_byte()) {
    if (byte == 'a') ++audits_wanted_;
    if (byte == 'q') stopping_ = true;
  }
}

void Ledger::report() {
  const std::uint64_t ticks = timer_ticks(Timer::kPit);
  if (ticks - reported_ticks_ < parameters_.report_ticks) return;
  reported_ticks_ = ticks;
  print("LEDGER RUN ", completed(), " flushed=", flushed_, "\n");
}

// There is always something in flight. If nothing completes for long, a request or an interrupt
// was lost. Timer ticks can come in a heap after the machine was stopped, so they only raise the
// suspicion; the verdict needs time in which we really ran.
void Ledger::watch(bool progress) {
  const std::uint64_t ticks = timer_ticks(Timer::kPit);
  if (progress) progress_ticks_ = ticks;
  if (failed_ || finished_ || ticks - progress_ticks_ < parameters_.stall_ticks) return;
  const auto news = [this] { return disk_has_news(0) || disk_has_news(1); };
  if (comes_true(news, std::uint64_t{1} << 32)) return;
  for (std::uint32_t disk = 0; disk != kDisks; ++disk) {
    if (disks_[disk].needs_reset()) broken(disk, "needs a reset", 0);
    if (disks_[disk].pending()) broken(disk, "did not interrupt", 0);
  }
  if (const std::uint32_t cpu = witnesses_.silent(); cpu != 0 && !failed_) {
    print("LEDGER BROKEN cpu ", cpu, " does not write any more\n");
    failed_ = true;
  }
  if (!failed_) broken(0, "or the other one lost a request", 0);
}

// --- What is to be done next --------------------------------------------------------------------

void Ledger::refill() {
  if (failed_) return;
  switch (phase_) {
    case Phase::kRunning:
      return run_records();
    case Phase::kDraining:
      return drain();
    case Phase::kAuditing:
      return audit();
  }
}

void Ledger::run_records() {
  for (std::uint32_t tag = 0; tag != parameters_.lanes; ++tag) {
    if (parameters_.records != 0 && issued_ == parameters_.records) stopping_ = true;
    if (stopping_ || audits_wanted_ != 0) {
      phase_ = Phase::kDraining;
      return;
    }
    if (lanes_[tag].step != Step::kIdle) continue;
    // A slot is free again when the record that went round it last is complete.
    if (issued_ + 1 - completed() >= layout_.slots()) return;
    const std::uint64_t slot = layout_.slot_of(issued_ + 1);
    const std::uint64_t expected = layout_.last_record_in(slot, issued_);
    lanes_[tag].record = ++issued_;
    begin_check(tag, Step::kChecking, slot, expected);
    if (parameters_.audit_every != 0 && issued_ % parameters_.audit_every == 0) ++audits_wanted_;
  }
  if (flushes_pending_ == 0 && issued_ - flush_covers_ >= parameters_.flush_every) begin_flush();
}

void Ledger::drain() {
  if (!idle() || flushes_pending_ != 0) return;
  if (flushed_ != issued_) return begin_flush();
  audit_slot_ = 0;
  witnesses_.ask();
  phase_ = Phase::kAuditing;
  audit();
}

void Ledger::audit() {
  for (std::uint32_t tag = 0; tag != parameters_.lanes && audit_slot_ != layout_.slots(); ++tag) {
    if (lanes_[tag].step != Step::kIdle) continue;
    const std::uint64_t expected = layout_.last_record_in(audit_slot_, issued_);
    begin_check(tag, Step::kAuditing, audit_slot_++, expected);
  }
  if (failed_ || audit_slot_ != layout_.slots() || !idle() || !witnesses_.have_looked()) return;
  print("LEDGER OK ", issued_, "\n");
  if (audits_wanted_ != 0) --audits_wanted_;
  finished_ = stopping_ && audits_wanted_ == 0;
  phase_ = Phase::kRunning;
}

// --- A lane's steps -----------------------------------------------------------------------------

void Ledger::begin_check(std::uint32_t tag, Step step, std::uint64_t slot, std::uint64_t expected) {
  Lane& lane = lanes_[tag];
  lane.step = step;
  lane.slot = slot;
  lane.expected = expected;
  check_book(slot, expected);
  check_medium(Medium::kRam, in_ram(slot), slot, expected);
  const std::uint32_t sectors = layout_.size_in_sectors(slot);
  for (std::uint32_t disk = 0; disk != kDisks; ++disk) {
    for (std::uint32_t i = 0; i != sectors; ++i) poison_sector(lane.buffers[disk] + i * kSectorSize);
    disks_[disk].read(tag, layout_.first_sector(slot), lane.buffers[disk], sectors, pieces(lane.record + disk));
    ++lane.pending;
  }
}

// The order counts: memory notes the record before any disk can know of it.
void Ledger::begin_write(std::uint32_t tag) {
  Lane& lane = lanes_[tag];
  lane.step = Step::kWriting;
  book_.issue(lane.slot, lane.record);
  const std::uint32_t sectors = layout_.size_in_sectors(lane.slot);
  for (std::uint32_t i = 0; i != sectors; ++i)
    write_sector(in_ram(lane.slot) + i * kSectorSize, identity(Medium::kRam, lane.slot, i, lane.record));
  for (std::uint32_t disk = 0; disk != kDisks; ++disk) {
    for (std::uint32_t i = 0; i != sectors; ++i)
      write_sector(lane.buffers[disk] + i * kSectorSize, identity(disk_medium(disk), lane.slot, i, lane.record));
    disks_[disk].write(tag, layout_.first_sector(lane.slot), lane.buffers[disk], sectors, pieces(lane.record + disk));
    ++lane.pending;
  }
}

void Ledger::begin_flush() {
  flush_covers_ = completed();
  for (std::uint32_t disk = 0; disk != kDisks; ++disk) {
    disks_[disk].flush(flush_tag());
    ++flushes_pending_;
  }
}

void Ledger::complete(std::uint32_t disk, const Disk::Completion& completion) {
  const bool is_flush = completion.tag == flush_tag();
  const std::uint64_t record = is_flush ? flush_covers_ : lanes_[completion.tag].record;
  switch (completion.outcome) {
    case Disk::Outcome::kNotInFlight:
      return broken(disk, "completed what was not in flight", 0);
    case Disk::Outcome::kFailed:
      return broken(disk, "failed a request", record);
    case Disk::Outcome::kWrongSize:
      return broken(disk, "returned a wrong size", record);
    case Disk::Outcome::kDone:
      break;
  }
  if (!is_flush) return advance(lanes_[completion.tag], disk);
  if (--flushes_pending_ == 0) flushed_ = flush_covers_;
}

void Ledger::advance(Lane& lane, std::uint32_t disk) {
  if (lane.step == Step::kWriting)
    book_.complete(lane.slot, disk);
  else
    check_medium(disk_medium(disk), lane.buffers[disk], lane.slot, lane.expected);
  if (--lane.pending != 0 || failed_) return;
  if (lane.step == Step::kChecking)
    begin_write(static_cast<std::uint32_t>(&lane - lanes_));
  else
    lane.step = Step::kIdle;
}

bool Ledger::idle() const {
  for (std::uint32_t tag = 0; tag != parameters_.lanes; ++tag)
    if (lanes_[tag].step != Step::kIdle) return false;
  return true;
}

std::uint64_t Ledger::completed() const {
  std::uint64_t oldest = issued_ + 1;
  for (std::uint32_t tag = 0; tag != parameters_.lanes; ++tag) {
    const Lane& lane = lanes_[tag];
    if ((lane.step == Step::kChecking || lane.step == Step::kWriting) && lane.record < oldest) oldest = lane.record;
  }
  return oldest - 1;
}

// --- The checks ---------------------------------------------------------------------------------

SectorIdentity Ledger::identity(Medium medium, std::uint64_t slot, std::uint32_t index, std::uint64_t record) const {
  const std::uint64_t sector = layout_.first_sector(slot) + index;
  return SectorIdentity{nonce_, record, SectorIdentity::place_of(medium, index, sector)};
}

std::uint8_t* Ledger::in_ram(std::uint64_t slot) const { return ram_ + layout_.first_sector(slot) * kSectorSize; }

void Ledger::check_book(std::uint64_t slot, std::uint64_t expected) {
  std::uint64_t found = 0;
  if (failed_ || book_.settled(slot, expected, found)) return;
  print("LEDGER TORN book record=", expected, " found=", found, " slot=", slot, "\n");
  failed_ = true;
}

void Ledger::check_medium(Medium medium, const std::uint8_t* data, std::uint64_t slot, std::uint64_t expected) {
  const std::uint32_t total = layout_.size_in_sectors(slot);
  std::uint32_t good = 0;
  std::uint32_t first_bad = total;
  Inspection bad;
  for (std::uint32_t i = 0; i != total; ++i) {
    const Inspection inspection = inspect_sector(data + i * kSectorSize, identity(medium, slot, i, expected));
    if (inspection.finding == Finding::kRight) {
      ++good;
    } else if (first_bad == total) {
      first_bad = i;
      bad = inspection;
    }
  }
  if (good != total) torn(medium, expected, bad, layout_.first_sector(slot) + first_bad, good, total);
}

void Ledger::torn(Medium medium, std::uint64_t expected, const Inspection& bad, std::uint64_t sector,
                  std::uint32_t good, std::uint32_t total) {
  if (failed_) return;
  print("LEDGER TORN disk=", name_of(medium), " record=", expected, " found=", bad.found, " why=", name_of(bad.finding),
        " sector=", sector, " good=", good, "/", total, " during=", phase_ == Phase::kAuditing ? "audit" : "run", "\n");
  failed_ = true;
}

void Ledger::broken(std::uint32_t disk, Text what, std::uint64_t record) {
  if (failed_) return;
  print("LEDGER BROKEN disk ", disk, " ", what, " record=", record, "\n");
  failed_ = true;
}

}  // namespace tintype::guest
