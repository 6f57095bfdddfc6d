// SPDX-License-Identifier: Apache-2.0
// How a disk treats requests: cache, errors, limits, blocks.
#include <atomic>
#include <chrono>

#include <doctest/doctest.h>

#include "devices/block/rate_limit.h"
#include "tests/support/skip.h"
#include "tests/unit/block/test_disk.h"

namespace tintype {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kDisk = 1 << 20;

DiskOptions pausing(const std::filesystem::path& image) {
  DiskOptions options = options_for(image);
  options.behaviour.on_error = OnDiskError::kPause;
  return options;
}

}  // namespace

TEST_CASE("what the host cannot do waits, tells of itself once, and is done when the disk is to go on") {
  for (const bool stacked : {false, true}) {
    CAPTURE(stacked);
    const TempDir directory;
    ScriptedDisk test(pausing(directory.image(kDisk)));
    int stops = 0;
    test.disk->set_on_stop([&] { ++stops; });
    std::unique_ptr<FrozenDisk> frozen;
    if (stacked) frozen = test.freeze();
    CHECK(test.driver->fill(0, 16384, 0x11) == 0);
    test.io->fail = [](const HostIo&) { return EIO; };
    PendingRequest write(*test.disk, BlockOperation::kWrite, 0, 8192, 0x22);
    PendingRequest later(*test.disk, BlockOperation::kWrite, 4096, 8192, 0x33);
    PendingRequest read(*test.disk, BlockOperation::kRead, 12288, 4096);
    CHECK_FALSE(write.done());
    CHECK_FALSE(later.done());
    CHECK_FALSE(read.done());
    CHECK(test.disk->stopped_by() == EIO);
    CHECK(stops >= 1);
    test.disk->go_on();  // too early
    CHECK_FALSE(write.done());
    CHECK(test.disk->stopped_by() == EIO);
    test.io->fail = nullptr;
    test.disk->go_on();
    CHECK(write.done());
    CHECK(later.done());
    CHECK(read.done());
    CHECK(write.result() == 0);
    CHECK(later.result() == 0);
    CHECK(read.result() == 0);
    CHECK(test.disk->stopped_by() == 0);
    CHECK(test.driver->holds(0, 4096, 0x22));
    CHECK(test.driver->holds(4096, 8192, 0x33));  // in their order
    CHECK(test.driver->holds(12288, 4096, 0x11));
  }
}

TEST_CASE("a full host disk stops the machine rather than fail the guest's write or discard") {
  const TempDir directory;
  ScriptedDisk test(pausing(directory.image(kDisk)));
  test.io->fail = [](const HostIo& io) { return io.kind == HostIo::Kind::kRead ? 0 : ENOSPC; };
  PendingRequest write(*test.disk, BlockOperation::kWrite, 0, 8192, 0x22);
  CHECK_FALSE(write.done());
  CHECK(test.disk->stopped_by() == ENOSPC);
  test.io->fail = nullptr;
  test.disk->go_on();
  CHECK(write.done());
  CHECK(write.result() == 0);
  CHECK(test.driver->holds(0, 8192, 0x22));
}

TEST_CASE("a flush that fails stops the machine, and is told to the guest when it goes on, as is every one after it") {
  const TempDir directory;
  ScriptedDisk test(pausing(directory.image(kDisk)));
  CHECK(test.driver->fill(0, 4096, 0x11) == 0);
  test.io->fail = [](const HostIo& io) { return io.kind == HostIo::Kind::kSync ? EIO : 0; };
  for (int i = 0; i < 2; ++i) {
    PendingRequest flush(*test.disk, BlockOperation::kFlush);
    CHECK_FALSE(flush.done());
    CHECK(test.disk->stopped_by() == EIO);
    test.io->fail = nullptr;
    test.disk->go_on();
    CHECK(flush.done());
    CHECK(flush.result() == EIO);
    CHECK(test.disk->stopped_by() == 0);
  }
  CHECK(test.driver->fill(4096, 4096, 0x22) == 0);
}

TEST_CASE("a flush that fails just as another is told stops the machine again") {
  const TempDir directory;
  ScriptedDisk test(pausing(directory.image(kDisk)));
  CHECK(test.driver->fill(0, 4096, 0x11) == 0);
  test.io->fail = [](const HostIo& io) { return io.kind == HostIo::Kind::kSync ? EIO : 0; };
  PendingRequest first(*test.disk, BlockOperation::kFlush);
  CHECK_FALSE(first.done());
  test.hold_all();
  PendingRequest second(*test.disk, BlockOperation::kFlush);
  test.io->release_all();
  test.disk->go_on();
  CHECK(first.done());
  CHECK(first.result() == EIO);
  CHECK_FALSE(second.done());
  CHECK(test.disk->stopped_by() == EIO);
  test.disk->go_on();
  CHECK(second.done());
  CHECK(second.result() == EIO);
}

TEST_CASE("while the guest does not know that a flush has failed, there is no checkpoint in which it might succeed") {
  const TempDir directory;
  ScriptedDisk test(pausing(directory.image(kDisk)));
  CHECK(test.driver->fill(0, 4096, 0x11) == 0);
  test.io->fail = [](const HostIo& io) { return io.kind == HostIo::Kind::kSync ? EIO : 0; };
  PendingRequest flush(*test.disk, BlockOperation::kFlush);
  CHECK_FALSE(flush.done());
  CHECK_THROWS_WITH_AS(test.disk->prepare_switch(), doctest::Contains("failed to write"), Error);
  CHECK_THROWS_AS(test.disk->check_suspendable(), Error);
  test.disk->go_on();
  CHECK(flush.done());
  CHECK_NOTHROW(test.freeze());
}

TEST_CASE("a machine that goes back in time, or ends, while its disk has stopped waits for nothing") {
  const TempDir directory;
  ScriptedDisk test(pausing(directory.image(kDisk)));
  test.io->fail = [](const HostIo& io) { return io.kind == HostIo::Kind::kSync ? 0 : EIO; };
  PendingRequest read(*test.disk, BlockOperation::kRead, 0, 4096);
  PendingRequest write(*test.disk, BlockOperation::kWrite, 0, 4096);
  CHECK_FALSE(read.done());
  CHECK_FALSE(write.done());
  SUBCASE("back in time") { test.disk->wait_until_idle(); }
  SUBCASE("the end") { CHECK_NOTHROW(test.disk->close()); }
  CHECK(read.done());
  CHECK(write.done());
  CHECK(read.result() == EIO);
  CHECK(write.result() == EIO);
}

TEST_CASE("a request that has stopped the machine does not hold up a checkpoint, and is not in it") {
  const TempDir directory;
  ScriptedDisk test(pausing(directory.image(kDisk)));
  test.io->fail = [](const HostIo&) { return EIO; };
  PendingRequest write(*test.disk, BlockOperation::kWrite, 0, 4096, 0x22);
  CHECK_FALSE(write.done());
  test.io->fail = nullptr;
  auto frozen = test.freeze();
  frozen->wait_for_old_io(10'000);
  CHECK(frozen_holds(*frozen, 0, 4096, 0));
  test.disk->go_on();
  CHECK(write.done());
  CHECK(frozen_holds(*frozen, 0, 4096, 0));
  CHECK(test.driver->holds(0, 4096, 0x22));
}

TEST_CASE("a limit spaces requests out, lets a burst through, and forgets what was not used") {
  RateLimit limit(1000, 0);
  const auto start = RateLimit::Clock::now();
  int at_once = 0;
  while (limit.admit(start, 4096) == start) ++at_once;
  CHECK(at_once >= 99);
  CHECK(at_once <= 101);
  CHECK(limit.admit(start, 4096) - start <= 3ms);
  CHECK(limit.admit(start + 10s, 4096) == start + 10s);
  RateLimit bytes(0, 1 << 20);
  bytes.admit(start, 1 << 20);
  CHECK(bytes.admit(start, 512) - start >= 890ms);
  RateLimit none(0, 0);
  for (int i = 0; i < 1000; ++i) CHECK(none.admit(start, 1 << 30) == start);
}

TEST_CASE("a disk keeps its limits, whatever the engine, and loses nothing of what waits") {
  for (const IoEngineKind kind : {IoEngineKind::kAuto, IoEngineKind::kThreads}) {
    const TempDir directory;
    DiskOptions options = options_for(directory.image(kDisk));
    options.behaviour.iops = 200;
    DiskTuning tuning;
    tuning.engine = kind;
    VirtualDisk disk(options, tuning);
    DiskDriver driver(disk);
    const auto start = std::chrono::steady_clock::now();
    for (unsigned i = 0; i < 60; ++i) REQUIRE(driver.fill(i * 512, 512, static_cast<std::uint8_t>(i)) == 0);
    CHECK(std::chrono::steady_clock::now() - start >= 180ms);  // 60 of them, of which 20 may be quick
    for (unsigned i = 0; i < 60; ++i) REQUIRE(driver.holds(i * 512, 512, static_cast<std::uint8_t>(i)));
    PendingRequest last(disk, BlockOperation::kWrite, 0, 4096, 0x77);
    disk.close();
    CHECK(last.done());
    CHECK(last.result() == 0);
  }
}

TEST_CASE("an unsafe cache ignores flushes, until the machine ends") {
  const TempDir directory;
  DiskOptions options = options_for(directory.image(kDisk));
  options.behaviour.cache = DiskCache::kUnsafe;
  ScriptedDisk test(options);
  CHECK(test.driver->fill(0, 4096, 0x11) == 0);
  CHECK(test.driver->flush() == 0);
  CHECK(test.io->syncs == 0);
  test.disk->close();
  CHECK(test.io->syncs > 0);
}

TEST_CASE("without a cache what the guest does is right, aligned or not, in the base and in a log") {
  const TempDir directory(std::filesystem::current_path());  // what is in memory has nothing else than a cache
  DiskOptions options = options_for(directory.image(kDisk));
  options.behaviour.cache = DiskCache::kNone;
  std::unique_ptr<TestDisk> test;
  try {
    test = std::make_unique<TestDisk>(options);
  } catch (const Error& error) {
    CHECK(mentions(error.what(), "O_DIRECT"));
    SKIP_TEST("no O_DIRECT here");
  }
  alignas(4096) static std::array<std::byte, 16384 + 512> buffer;
  const auto write = [&](std::size_t skip, std::uint64_t offset, std::size_t length, std::uint8_t value) {
    std::fill(buffer.begin(), buffer.end(), std::byte{value});
    CHECK(test->driver->write(offset, std::span(buffer).subspan(skip, length)) == 0);
  };
  std::unique_ptr<FrozenDisk> frozen;
  for (const bool stacked : {false, true}) {
    if (stacked) frozen = test->freeze();
    const auto value = static_cast<std::uint8_t>(stacked ? 0x60 : 0x10);
    write(0, 0, 16384, value + 1);
    write(7, 4096, 4096, value + 2);  // as no guest's kernel does it
    write(0, 8192 + 512, 512, value + 3);
    CHECK(test->driver->holds(0, 4096, value + 1));
    CHECK(test->driver->holds(4096, 4096, value + 2));
    CHECK(test->driver->holds(8192, 512, value + 1));
    CHECK(test->driver->holds(8192 + 512, 512, value + 3));
    CHECK(test->driver->holds(8192 + 1024, 16384 - 8192 - 1024, value + 1));
    CHECK(test->driver->flush() == 0);
  }
  CHECK(frozen_holds(*frozen, 4096, 4096, 0x12));
  frozen.reset();
  CHECK(test->commit() == "");
  CHECK(test->driver->holds(4096, 4096, 0x62));
  test->disk->close();
}

TEST_CASE("an image that is no whole number of blocks is refused") {
  const TempDir directory;
  DiskOptions options = options_for(directory.image(kDisk + 512));
  options.behaviour.block_size = 4096;
  CHECK(mentions(open_error(options), "block-size=4096"));
}

}  // namespace tintype
