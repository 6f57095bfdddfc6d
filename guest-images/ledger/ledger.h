// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "guest-images/ledger/book.h"
#include "guest-images/ledger/layout.h"
#include "guest-images/ledger/record.h"
#include "guest-images/ledger/witness.h"
#include "guest-images/runtime/disk.h"

namespace tintype::guest {

// Keeps three equal sets of records: on two disks and in RAM. README.md says precisely what holds
// at each instant.
//
// Work is done in *lanes*, each of which takes one record through its steps; lanes are independent
// of each other, so many requests are in flight on both disks at once.
class Ledger {
 public:
  struct Parameters {
    std::uint64_t records;      // stop after so many; 0: never
    std::uint64_t audit_every;  // audit each time so many were issued; 0: only when asked
    std::uint64_t flush_every;
    std::uint64_t report_ticks;  // timer ticks between two lines of progress
    std::uint64_t stall_ticks;   // without any completion: something is lost
    std::uint32_t lanes;
    bool polled;  // look at the disks all the time, use no interrupts
  };
  static constexpr std::uint32_t kMaxLanes = Virtqueue::kMaxTags - 1;

  // `memory` has room for bytes(). The disks are open and have at least lanes + 1 tags.
  Ledger(const Parameters& parameters, const Layout& layout, std::uint64_t nonce, Disk* disks, Witnesses& witnesses,
         std::uint8_t* memory);
  static std::uint64_t bytes(const Parameters& parameters, const Layout& layout);

  // Where the third set of records lies.
  const std::uint8_t* ram() const { return ram_; }

  // Works until it is told to stop (0) or finds something wrong (1).
  std::uint8_t run();

 private:
  // A record's way: its slot is read and compared with what must be there; it is written; done.
  // In an audit the first of these is all.
  enum class Step : std::uint8_t { kIdle, kChecking, kWriting, kAuditing };
  enum class Phase : std::uint8_t { kRunning, kDraining, kAuditing };

  struct Lane {
    Step step = Step::kIdle;
    std::uint32_t pending = 0;  // requests in flight
    std::uint64_t slot = 0;
    std::uint64_t record = 0;    // to be written
    std::uint64_t expected = 0;  // what the slot must hold before
    std::uint8_t* buffers[kDisks] = {};
  };

  // Each of these does what can be done now.
  bool serve_disks();
  void refill();
  void report();
  void listen();
  void watch(bool progress);

  void run_records();
  void drain();
  void audit();

  void complete(std::uint32_t disk, const Disk::Completion& completion);
  void advance(Lane& lane, std::uint32_t disk);
  void begin_check(std::uint32_t tag, Step step, std::uint64_t slot, std::uint64_t expected);
  void begin_write(std::uint32_t tag);
  void begin_flush();

  void check_book(std::uint64_t slot, std::uint64_t expected);
  void check_medium(Medium medium, const std::uint8_t* data, std::uint64_t slot, std::uint64_t expected);
  void torn(Medium medium, std::uint64_t expected, const Inspection& bad, std::uint64_t sector, std::uint32_t good,
            std::uint32_t total);
  void broken(std::uint32_t disk, Text what, std::uint64_t record);

  SectorIdentity identity(Medium medium, std::uint64_t slot, std::uint32_t index, std::uint64_t record) const;
  std::uint8_t* in_ram(std::uint64_t slot) const;
  std::uint32_t pieces(std::uint64_t record) const { return 1 + record % 4; }
  std::uint32_t flush_tag() const { return parameters_.lanes; }
  bool idle() const;
  std::uint64_t completed() const;  // all records up to here
  bool disk_has_news(std::uint32_t disk) const;

  const Parameters parameters_;
  const Layout layout_;
  const std::uint64_t nonce_;
  Disk* const disks_;
  Witnesses& witnesses_;
  Book book_;
  std::uint8_t* ram_;  // the third set of records
  Lane lanes_[kMaxLanes];

  Phase phase_ = Phase::kRunning;
  std::uint64_t issued_ = 0;  // the last record that was begun
  std::uint64_t audits_wanted_ = 0;
  std::uint64_t audit_slot_ = 0;  // the next one to look at
  bool stopping_ = false;
  bool finished_ = false;
  bool failed_ = false;

  std::uint32_t flushes_pending_ = 0;
  std::uint64_t flush_covers_ = 0;  // what the flush in flight will make durable
  std::uint64_t flushed_ = 0;       // records up to here are durable on both disks

  std::uint64_t served_[kDisks] = {};  // interrupts seen
  std::uint64_t heard_ = 0;
  std::uint64_t reported_ticks_ = 0;
  std::uint64_t progress_ticks_ = 0;
};

}  // namespace tintype::guest
