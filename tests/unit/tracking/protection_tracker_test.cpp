// SPDX-License-Identifier: Apache-2.0
// Who has written to what: the promises of the tracker to a checkpoint that relies on it.
#include "checkpoint/tracking/protection_tracker.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support/becomes_true.h"
#include "tests/support/skip.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

constexpr std::uint64_t kMemory = 32 << 20;

/// Keeps all that it is given, on the fault thread, while it has room; what it has is asked for when that thread has
/// nothing to do.
class Keeper final : public OldContents {
 public:
  std::optional<Slot> take(std::uint64_t chunk) noexcept override {
    if (!has_room_) return std::nullopt;
    slots_.emplace_back(kHugePageSize);
    return Slot{slots_.size() - 1, chunk};
  }
  std::span<std::byte> memory(const Slot& slot) const noexcept override {
    return const_cast<std::vector<std::byte>&>(slots_[slot.number]);
  }
  void put(const Slot& slot) noexcept override {
    const std::lock_guard lock(mutex_);
    kept_.insert(slot.chunk);
  }
  void give_back(const Slot&) noexcept override {}
  bool mostly_free() const noexcept override { return has_room_; }
  void ring_when_free(std::shared_ptr<EventFd> bell) noexcept override {
    const std::lock_guard lock(mutex_);
    bell_ = std::move(bell);
  }

  void fill_up() { has_room_ = false; }
  bool is_waited_for() const {
    const std::lock_guard lock(mutex_);
    return bell_ != nullptr;
  }
  void make_room() {
    has_room_ = true;
    const std::lock_guard lock(mutex_);
    bell_->signal();
  }

  std::set<std::size_t> kept() const {
    const std::lock_guard lock(mutex_);
    return kept_;
  }

 private:
  std::atomic<bool> has_room_ = true;
  mutable std::mutex mutex_;
  std::shared_ptr<EventFd> bell_;
  std::set<std::size_t> kept_;
  std::vector<std::vector<std::byte>> slots_;
};

/// Protects nothing so many times.
class RefusingUserfault final : public Userfault {
 public:
  explicit RefusingUserfault(int& refusals) : refusals_(refusals) {}
  void protect(std::span<std::byte> range) override {
    if (refusals_ > 0) {
      --refusals_;
      throw Error("the kernel does not want to");
    }
    Userfault::protect(range);
  }

 private:
  int& refusals_;
};

class TrackerRig {
 public:
  TrackerRig() : memory(kMemory), tracker(memory) {
    write_all(0, kMemory / 2);
    tracker.start();
  }
  void write(std::uint64_t address) { REQUIRE(memory.store<std::uint64_t>(Gpa(address), ++value_)); }
  void write_all(std::uint64_t from, std::uint64_t bytes) {
    for (std::uint64_t at = from; at < from + bytes; at += kPageSize) write(at);
  }
  /// A checkpoint whose copier does its work; returns what it saves.
  std::set<std::size_t> capture(bool everything = false) {
    tracker.begin(everything, keeper);
    tracker.arm();
    tracker.freeze(false);
    return claim_all();
  }
  std::set<std::size_t> claim_all() {
    std::set<std::size_t> claimed;
    while (const auto chunk = tracker.claim_held()) {
      if (tracker.copied(*chunk)) claimed.insert(*chunk);
    }
    return claimed;
  }

  GuestMemory memory;
  Keeper keeper;
  ProtectionTracker tracker;

 private:
  std::uint64_t value_ = 0;
};

std::set<std::size_t> first_chunks(std::size_t count) {
  std::set<std::size_t> chunks;
  for (std::size_t chunk = 0; chunk < count; ++chunk) chunks.insert(chunk);
  return chunks;
}

std::string unwilling_host() { return probe_userfault().problem; }

}  // namespace

TEST_CASE("the first checkpoint saves what is there, the next one what was written since") {
  if (!unwilling_host().empty()) SKIP_TEST(unwilling_host());
  TrackerRig rig;
  CHECK(rig.capture() == first_chunks(8));
  rig.tracker.keep();
  CHECK(rig.capture().empty());
  rig.tracker.keep();
  rig.write(3 << 20);
  rig.write(20 << 20);  // absent so far
  CHECK(rig.capture() == std::set<std::size_t>{1, 10});
  rig.tracker.keep();
  CHECK(rig.capture(true).size() == 9);
  rig.tracker.keep();
}

TEST_CASE("what a checkpoint was to save that is not kept, the next one saves") {
  if (!unwilling_host().empty()) SKIP_TEST(unwilling_host());
  TrackerRig rig;
  rig.capture();
  rig.tracker.keep();
  rig.write(3 << 20);
  CHECK(rig.capture() == std::set<std::size_t>{1});
  rig.tracker.give_back();
  rig.write(7 << 20);
  CHECK(rig.capture() == std::set<std::size_t>{1, 3});
  rig.tracker.keep();
  CHECK(rig.capture().empty());
  rig.tracker.keep();
}

TEST_CASE("what is written after the instant is of the next checkpoint, and its old contents are kept for this one") {
  if (!unwilling_host().empty()) SKIP_TEST(unwilling_host());
  TrackerRig rig;
  rig.tracker.begin(true, rig.keeper);
  rig.tracker.freeze(false);
  rig.write(5 << 20);
  CHECK(rig.keeper.kept().contains(2));
  const auto rest = rig.claim_all();
  CHECK_FALSE(rest.contains(2));
  CHECK(rig.tracker.faults().count() == 1);  // and the fault thread has looked ahead as far as it will
  CHECK(rest.size() + rig.keeper.kept().size() == 8);
  rig.write(9 << 20);  // copied already
  rig.tracker.keep();
  CHECK(rig.capture() == std::set<std::size_t>{2, 4});
  rig.tracker.keep();
}

TEST_CASE("pages that come into being between two pictures are found, also beside pages that are protected") {
  if (!unwilling_host().empty()) SKIP_TEST(unwilling_host());
  TrackerRig rig;
  const auto region = rig.memory.regions()[0];
  ::madvise(region.host + (16 << 20), 4 << 20, MADV_NOHUGEPAGE);
  rig.write(16 << 20);
  CHECK(rig.capture().contains(8));
  rig.write((16 << 20) + kPageSize);  // absent: no fault is seen
  rig.tracker.keep();
  CHECK(rig.capture() == std::set<std::size_t>{8});
  rig.tracker.keep();
  rig.write((16 << 20) + kPageSize);  // and it is protected from then on
  CHECK(rig.capture() == std::set<std::size_t>{8});
  rig.tracker.keep();
}

TEST_CASE("a chunk that is copied ahead and written to meanwhile is not clean") {
  if (!unwilling_host().empty()) SKIP_TEST(unwilling_host());
  TrackerRig rig;
  rig.tracker.begin(true, rig.keeper);
  std::size_t claimed = 0;
  while (const auto chunk = rig.tracker.claim_written()) {
    if (*chunk == 3) rig.write(6 << 20);
    CHECK(rig.tracker.still_clean(*chunk) == (*chunk != 3));
    ++claimed;
  }
  CHECK(claimed == 8);
  CHECK(rig.tracker.written() == 1);
  rig.tracker.freeze(false);
  CHECK(rig.claim_all() == std::set<std::size_t>{3});
  rig.tracker.give_back();
  CHECK(rig.capture() == first_chunks(8));  // what was copied ahead was lost with it
  rig.tracker.keep();
}

TEST_CASE("memory that was restored is clean until it is written to") {
  if (!unwilling_host().empty()) SKIP_TEST(unwilling_host());
  TrackerRig rig;
  rig.tracker.begin_clean();
  rig.write(3 << 20);
  rig.write(30 << 20);
  CHECK(rig.capture() == std::set<std::size_t>{1, 15});
  rig.tracker.keep();
}

TEST_CASE("where memory cannot be protected ahead of the pause, the next checkpoint misses nothing") {
  if (!unwilling_host().empty()) SKIP_TEST(unwilling_host());
  GuestMemory memory(kMemory);
  const auto write = [&](std::uint64_t value) { REQUIRE(memory.store(Gpa(5 << 20), value)); };
  write(1);
  int refusals = 1;
  Keeper keeper;
  ProtectionTracker tracker(memory, [&] { return std::make_unique<RefusingUserfault>(refusals); });
  tracker.start();
  tracker.begin(false, keeper);
  CHECK_THROWS_AS(tracker.arm(), Error);
  tracker.give_back();
  tracker.begin(false, keeper);
  CHECK(tracker.freeze(false) == 1);
  write(2);  // it is held
  CHECK(keeper.kept() == std::set<std::size_t>{2});
  tracker.keep();
  tracker.begin(false, keeper);
  CHECK(tracker.freeze(false) == 1);
  tracker.give_back();
}

namespace {

/// A checkpoint that is to save chunk 1, and a thread that wants to write to it, for which there is no room.
class WaitingWriter {
 public:
  WaitingWriter() {
    rig.capture();
    rig.tracker.keep();
    rig.write(3 << 20);
    rig.tracker.begin(false, rig.keeper);
    REQUIRE(rig.tracker.freeze(false) == 1);
    rig.keeper.fill_up();
    thread_ = std::thread([this] {
      static_cast<void>(rig.memory.store<std::uint64_t>(Gpa(3 << 20), 7));
      went_on = true;
    });
    REQUIRE(becomes_true([this] { return rig.keeper.is_waited_for(); }));
  }
  void join() { thread_.join(); }

  TrackerRig rig;
  std::atomic<bool> went_on = false;

 private:
  std::thread thread_;
};

}  // namespace

TEST_CASE("who waits for room holds up nobody who needs none, and goes on when there is some") {
  if (!unwilling_host().empty()) SKIP_TEST(unwilling_host());
  WaitingWriter writer;
  std::atomic<bool> other_went_on = false;
  std::thread other([&] {
    writer.rig.write(9 << 20);  // clean: a fault, and no more
    other_went_on = true;
  });
  CHECK(becomes_true([&] { return other_went_on.load(); }));
  CHECK_FALSE(writer.went_on);
  writer.rig.keeper.make_room();
  writer.join();
  other.join();
  CHECK(writer.rig.keeper.kept() == std::set<std::size_t>{1});
  CHECK(writer.rig.tracker.faults().put_off() == 1);
  CHECK(writer.rig.claim_all().empty());
  writer.rig.tracker.keep();
  CHECK(writer.rig.capture() == std::set<std::size_t>{1, 4});
  writer.rig.tracker.keep();
}

TEST_CASE("who waits for room goes on when the copier was faster") {
  if (!unwilling_host().empty()) SKIP_TEST(unwilling_host());
  WaitingWriter writer;
  CHECK(writer.rig.claim_all() == std::set<std::size_t>{1});
  writer.rig.tracker.keep();
  writer.join();
  CHECK(writer.rig.capture() == std::set<std::size_t>{1});
  writer.rig.tracker.keep();
}

TEST_CASE("who waits for room goes on when the checkpoint is given up") {
  if (!unwilling_host().empty()) SKIP_TEST(unwilling_host());
  WaitingWriter writer;
  writer.rig.tracker.give_back();
  writer.join();
  CHECK(writer.rig.keeper.kept().empty());
  CHECK(writer.rig.capture() == std::set<std::size_t>{1});
  writer.rig.tracker.keep();
}

TEST_CASE("nobody waits for a tracker that goes, and memory is free afterwards") {
  if (!unwilling_host().empty()) SKIP_TEST(unwilling_host());
  GuestMemory memory(kMemory);
  Keeper keeper;
  REQUIRE(memory.store<std::uint64_t>(Gpa(0), 1));
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    std::mt19937_64 random(1);
    while (!stop) static_cast<void>(memory.store<std::uint64_t>(Gpa(random() % (kMemory / 8) * 8), random()));
  });
  for (int round = 0; round < 20; ++round) {
    ProtectionTracker tracker(memory);
    tracker.start();
    tracker.begin(true, keeper);
    tracker.arm();
    if (round % 2 == 0) CHECK(tracker.freeze(false) > 0);
  }
  stop = true;
  writer.join();
}

}  // namespace tintype
