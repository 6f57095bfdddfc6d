// SPDX-License-Identifier: Apache-2.0
// Interleavings that a real host shows once in a while, laid out by hand.

#include <doctest/doctest.h>

#include "devices/block/commit_pace.h"
#include "tests/unit/block/test_disk.h"

namespace tintype {

TEST_CASE("a write in flight at the switch lands in the frozen disk and never on top of a newer write") {
  const TempDir directory;
  ScriptedDisk test(directory.image(1 << 20));
  test.hold_writes();
  PendingRequest old_write(*test.disk, BlockOperation::kWrite, 4096, 4096, 0x11);
  REQUIRE(test.io->held() == 1);
  auto frozen = test.freeze();
  PendingRequest new_write(*test.disk, BlockOperation::kWrite, 4096, 4096, 0x22);
  CHECK(test.io->held() == 1);  // it waits for its turn
  CHECK_FALSE(new_write.done());
  CHECK_THROWS_AS(frozen->wait_for_old_io(20), Error);

  test.io->release();
  CHECK(old_write.done());
  frozen->wait_for_old_io(1'000);
  CHECK_FALSE(new_write.done());
  test.io->release_all();
  CHECK(new_write.done());
  CHECK(frozen_holds(*frozen, 4096, 4096, 0x11));
  CHECK(test.driver->holds(4096, 4096, 0x22));
  frozen.reset();
  test.disk->close();
  ScriptedDisk again(directory.path() / "disk.img");
  CHECK(again.driver->holds(4096, 4096, 0x22));
}

TEST_CASE("an old write in flight does not keep a new one to other sectors waiting") {
  const TempDir directory;
  ScriptedDisk test(directory.image(1 << 20));
  test.hold_writes();
  PendingRequest old_write(*test.disk, BlockOperation::kWrite, 4096, 4096, 0x11);
  auto frozen = test.freeze();
  test.io->hold = nullptr;
  CHECK(test.driver->fill(8192, 4096, 0x22) == 0);
  CHECK(test.driver->holds(8192, 4096, 0x22));
  CHECK_FALSE(old_write.done());
  test.io->release();
  frozen->wait_for_old_io(1'000);
  CHECK(frozen_holds(*frozen, 8192, 4096, 0));
}

TEST_CASE("committing does not touch the base while a write of an old epoch is still on its way there") {
  const TempDir directory;
  ScriptedDisk test(directory.image(1 << 20));
  test.hold_writes();
  PendingRequest old_write(*test.disk, BlockOperation::kWrite, 0, 512, 0x11);
  auto frozen = test.freeze();
  test.io->hold = nullptr;
  CHECK(test.driver->fill(8192, 512, 0x22) == 0);
  frozen.reset();  // a checkpoint that failed: nobody waited for old I/O
  test.disk->start_commit();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK(test.disk->log_count() == 1);
  test.io->release();
  CHECK(old_write.done());
  test.disk->close();
  CHECK(test.disk->log_count() == 0);
}

TEST_CASE("partly overlapping writes to a log end in the order of their submission") {
  const TempDir directory;
  const auto image = directory.image(1 << 20);
  {
    ScriptedDisk test(image);
    auto frozen = test.freeze();
    test.hold_writes();
    PendingRequest first(*test.disk, BlockOperation::kWrite, 0, 4096, 0x11);
    PendingRequest second(*test.disk, BlockOperation::kWrite, 2048, 4096, 0x22);
    PendingRequest third(*test.disk, BlockOperation::kWrite, 1024, 1536, 0x33);
    PendingRequest apart(*test.disk, BlockOperation::kWrite, 64 << 10, 512, 0x44);
    CHECK(test.io->held() == 2);  // the first, and the one that overlaps nothing
    test.io->release_all();
    CHECK(third.done());
    CHECK(second.done());
    CHECK(test.driver->holds(0, 1024, 0x11));
    CHECK(test.driver->holds(1024, 1536, 0x33));
    CHECK(test.driver->holds(2560, 3584, 0x22));
  }
  TestDisk again(image);  // and the log says the same
  CHECK(again.driver->holds(0, 1024, 0x11));
  CHECK(again.driver->holds(1024, 1536, 0x33));
  CHECK(again.driver->holds(2560, 3584, 0x22));
}

TEST_CASE(
    "writes to the base alone that overlap end in the order of their submission, as those do that a restore issues") {
  const TempDir directory;
  ScriptedDisk test(directory.image(1 << 20));
  test.hold_writes();
  PendingRequest first(*test.disk, BlockOperation::kWrite, 0, 4096, 0x11);
  PendingRequest second(*test.disk, BlockOperation::kWrite, 2048, 4096, 0x22);
  PendingRequest apart(*test.disk, BlockOperation::kWrite, 64 << 10, 512, 0x44);
  CHECK(test.io->held() == 2);  // the first, and the one that overlaps nothing
  test.io->release_all();
  CHECK(first.done());
  CHECK(second.done());
  CHECK(test.driver->holds(0, 2048, 0x11));
  CHECK(test.driver->holds(2048, 4096, 0x22));
}

TEST_CASE("a write is not seen in the log, nor acknowledged, before its record is written") {
  const TempDir directory;
  ScriptedDisk test(directory.image(1 << 20));
  auto frozen = test.freeze();
  test.io->hold = [](const HostIo& io) { return io.kind == HostIo::Kind::kWrite && io.segments[0].iov_len == 32; };
  PendingRequest write(*test.disk, BlockOperation::kWrite, 0, 4096, 0x11);
  CHECK_FALSE(write.done());
  CHECK(test.io->held() == 1);
  CHECK(test.driver->holds(0, 4096, 0));
  test.io->release();
  CHECK(write.done());
  CHECK(test.driver->holds(0, 4096, 0x11));
}

TEST_CASE("a frozen disk never shows a write of a later epoch, however deep the stack") {
  const TempDir directory;
  TestDisk test(directory.image(4 << 20));
  std::vector<std::unique_ptr<FrozenDisk>> frozen;
  for (std::uint8_t epoch = 1; epoch <= 6; ++epoch) {
    CHECK(test.driver->fill(0, 64 << 10, epoch) == 0);                           // in every epoch
    CHECK(test.driver->fill(std::uint64_t{epoch} << 18, 64 << 10, epoch) == 0);  // in this one only
    frozen.push_back(test.freeze());
  }
  CHECK(test.driver->fill(0, 4 << 20, 0xff) == 0);
  for (std::uint8_t epoch = 1; epoch <= 6; ++epoch) {
    FrozenDisk& then = *frozen[epoch - 1];
    CHECK(frozen_holds(then, 0, 64 << 10, epoch));
    for (std::uint8_t other = 1; other <= 6; ++other) {
      CHECK(frozen_holds(then, std::uint64_t{other} << 18, 64 << 10, other <= epoch ? other : 0));
    }
  }
  CHECK(test.disk->log_count() == 6);
  frozen.clear();
  CHECK(test.commit() == "");
  CHECK(test.disk->log_count() == 0);
  CHECK(test.driver->holds(0, 4 << 20, 0xff));
}

TEST_CASE("a frozen disk finds all its data by next_data, and no more than that") {
  const TempDir directory;
  TestDisk test(directory.image(64 << 20));
  CHECK(test.driver->fill(1 << 20, 4096, 0x11) == 0);
  auto first = test.freeze();
  CHECK(test.driver->fill(32 << 20, 8192, 0x22) == 0);
  CHECK(test.driver->fill((64 << 20) - 512, 512, 0x33) == 0);
  auto second = test.freeze();
  CHECK(test.driver->fill(48 << 20, 4096, 0x44) == 0);
  std::uint64_t bytes = 0;
  std::vector<std::uint64_t> starts;
  for (auto range = second->next_data(0); range; range = second->next_data(range->offset + range->length)) {
    bytes += range->length;
    starts.push_back(range->offset);
  }
  CHECK(starts == std::vector<std::uint64_t>{1 << 20, 32 << 20, (64 << 20) - 512});
  CHECK(bytes <= 3 * 8192);
  CHECK(frozen_holds(*second, 48 << 20, 4096, 0));
}

TEST_CASE("committing waits for the frozen disk to be gone") {
  const TempDir directory;
  TestDisk test(directory.image(1 << 20));
  CHECK(test.driver->fill(0, 4096, 0x11) == 0);
  auto frozen = test.freeze();
  CHECK(test.driver->fill(0, 4096, 0x22) == 0);
  test.disk->start_commit();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(test.disk->log_count() == 1);
  CHECK(frozen_holds(*frozen, 0, 4096, 0x11));
  frozen.reset();
  CHECK(test.commit() == "");
  CHECK(test.disk->log_count() == 0);
}

TEST_CASE("a switch that is given up leaves nothing behind") {
  const TempDir directory;
  TestDisk test(directory.image(1 << 20));
  test.disk->prepare_switch();
  CHECK(logs_in(directory.path()).size() == 1);
  test.disk->cancel_switch();
  CHECK(logs_in(directory.path()).empty());
  CHECK(test.disk->log_count() == 0);
  CHECK(test.driver->fill(0, 4096, 0x11) == 0);
  auto frozen = test.freeze();
  CHECK(frozen_holds(*frozen, 0, 4096, 0x11));
}

TEST_CASE("a read-only disk freezes without a log") {
  const TempDir directory;
  const auto image = directory.image(1 << 20);
  {
    TestDisk test(image);
    CHECK(test.driver->fill(4096, 4096, 0x11) == 0);
    test.disk->close();
  }
  VirtualDisk disk(options_for(image, true));
  disk.prepare_switch();
  auto frozen = disk.switch_to_fresh_log();
  frozen->wait_for_old_io(1'000);
  CHECK(frozen_holds(*frozen, 4096, 4096, 0x11));
  CHECK(disk.log_count() == 0);
  CHECK(logs_in(directory.path()).empty());
  bool told = false;
  disk.start_commit([&](const std::string& error) { told = error.empty(); });
  CHECK(told);
  frozen.reset();
  disk.close();
}

TEST_CASE("the stack gets short under a sustained load on hot and cold sectors") {
  const TempDir directory;
  TestDisk test(directory.image(64 << 20));
  auto frozen = test.freeze();
  for (std::uint64_t mib = 0; mib < 48; ++mib) CHECK(test.driver->fill(mib << 20, 1 << 20, 0x11) == 0);
  frozen.reset();
  std::atomic<bool> committed{false};
  test.disk->start_commit([&](const std::string& error) { committed = error.empty(); });
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  std::uint64_t writes = 0;
  for (; !committed && std::chrono::steady_clock::now() < limit; ++writes) {
    const std::uint64_t offset = writes % 2 == 0 ? 8 << 20 : writes * 7919 % 12'000 * 4096;
    REQUIRE(test.driver->fill(offset, 4096, 0x22) == 0);
  }
  CHECK(committed);
  CHECK(test.disk->log_count() == 0);
  CHECK(logs_in(directory.path()).empty());
  CHECK(test.driver->holds(8 << 20, 4096, 0x22));
  test.disk->close();
}

TEST_CASE("committing leaves the disk to the guest while it has requests in flight, and no longer than its step took") {
  using namespace std::chrono_literals;
  const auto waited = [](CommitPace::Duration step, int looks_until_idle) {
    CommitPace::Duration slept{};
    CommitPace::leave_disk_to_guest(
        step, [&] { return looks_until_idle-- > 0; }, [&](CommitPace::Duration time) { return slept += time, time; });
    return slept;
  };
  CHECK(waited(5ms, 0) == 0ms);
  CHECK(waited(5ms, 3) == 3 * CommitPace::kLook);
  CHECK(waited(5ms, 1'000'000) == 5ms);
  CHECK(waited(50us, 1'000'000) == 50us);
  CHECK(waited(60s, 1'000'000) == CommitPace::kLongest);
}

TEST_CASE("the stack gets short though requests of the guest are always in flight") {
  const TempDir directory;
  ScriptedDisk test(directory.image(64 << 20));
  auto frozen = test.freeze();
  for (std::uint64_t mib = 0; mib < 48; ++mib) CHECK(test.driver->fill(mib << 20, 1 << 20, 0x11) == 0);
  frozen.reset();
  test.io->hold = [](const HostIo& io) { return io.kind == HostIo::Kind::kRead; };
  PendingRequest read(*test.disk, BlockOperation::kRead, 0, 4096);
  test.disk->start_commit();
  for (int i = 0; i < 6'000 && test.disk->log_count() > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(test.disk->log_count() == 0);
  CHECK_FALSE(read.done());
  test.io->release_all();
  CHECK(read.done());
}

TEST_CASE("the switch takes no longer where the log below holds much") {
  const TempDir directory;
  TestDisk test(directory.image(256 << 20));
  auto frozen = test.freeze();
  for (std::uint64_t i = 0; i < 4'000; ++i) REQUIRE(test.driver->fill(i * 8192, 512, 0x11) == 0);
  frozen.reset();
  auto shortest = std::chrono::nanoseconds::max();
  for (int i = 0; i < 5; ++i) {
    test.disk->prepare_switch();
    const auto before = std::chrono::steady_clock::now();
    auto another = test.disk->switch_to_fresh_log();
    shortest = std::min<std::chrono::nanoseconds>(shortest, std::chrono::steady_clock::now() - before);
  }
  CHECK(shortest < std::chrono::microseconds(100));
  MESSAGE("a switch above 4000 extents takes ", shortest.count(), " ns");
}

TEST_CASE("whoever waits for old writes submits no read: it would wait for guest memory some day") {
  const TempDir directory;
  ScriptedDisk test(directory.image(1 << 20));
  test.hold_writes();
  PendingRequest old_write(*test.disk, BlockOperation::kWrite, 4096, 4096, 0x11);
  std::vector<std::byte> data(4096);
  bool answered = false;
  BlockRequest read{BlockOperation::kRead, 8192, {{data.data(), data.size()}}, nullptr, &answered};
  read.done = [](BlockRequest& done, int) noexcept { *static_cast<bool*>(done.owner) = true; };
  test.disk->submit(read);  // and the I/O thread has not come to kick() so far
  auto frozen = test.freeze();
  test.io->release_all();
  frozen->wait_for_old_io(1'000);
  CHECK(test.io->done == std::vector{HostIo::Kind::kWrite});
  test.disk->kick();
  test.disk->complete();
  CHECK(answered);
}

}  // namespace tintype
