// SPDX-License-Identifier: Apache-2.0
// The disk for tests that is slow and reorders, so that what is tested with it has met what it promises; and what an
// engine does when it is asked to leave reads alone.
#include <fcntl.h>

#include <array>
#include <memory>
#include <vector>

#include <doctest/doctest.h>

#include "devices/block/io_ring.h"
#include "tests/support/skip.h"
#include "tests/support/slow_engine.h"
#include "tests/unit/block/test_disk.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

std::unique_ptr<IoEngine> slow(IoEngineKind kind, int milliseconds) {
  return std::make_unique<SlowEngine>(make_io_engine(kind), std::chrono::milliseconds(milliseconds), 7);
}

/// Reaps until `count` transfers have finished.
std::vector<HostIo*> reap(IoEngine& engine, std::size_t count) {
  std::vector<HostIo*> finished;
  while (finished.size() < count) {
    pollfd bell{engine.completion_fd(), POLLIN, 0};
    REQUIRE(::poll(&bell, 1, 10'000) == 1);
    engine.acknowledge();
    while (HostIo* const io = engine.reap()) finished.push_back(io);
  }
  return finished;
}

struct Transfer : HostIo {
  Transfer(int file, Kind what, std::uint64_t where, std::byte value) : buffer(4096, value) {
    kind = what;
    fd = file;
    offset = where;
    segments.push_back({buffer.data(), buffer.size()});
  }
  std::vector<std::byte> buffer;
};

}  // namespace

TEST_CASE("a slow disk finishes in another order than it was asked in, and loses nothing") {
  const TempDir directory;
  const UniqueFd file = open_file(directory.image(1 << 20), O_RDWR);
  const auto engine = slow(IoEngineKind::kAuto, 8);
  std::deque<Transfer> writes;
  for (std::uint64_t i = 0; i < 32; ++i) {
    writes.emplace_back(file.get(), HostIo::Kind::kWrite, i * 4096, static_cast<std::byte>(i + 1));
    engine->queue(writes.back());
  }
  engine->kick();
  const std::vector<HostIo*> finished = reap(*engine, writes.size());
  bool in_order = true;
  for (std::size_t i = 0; i < finished.size(); ++i) in_order = in_order && finished[i] == &writes[i];
  CHECK_FALSE(in_order);
  for (std::uint64_t i = 0; i < 32; ++i) {
    std::array<std::byte, 4096> data{};
    read_exactly(file.get(), data, i * 4096, "the image");
    CHECK(data[0] == static_cast<std::byte>(i + 1));
    CHECK(data[4095] == static_cast<std::byte>(i + 1));
  }
}

TEST_CASE("a virtual disk on a slow host disk is a disk, whatever the engine") {
  for (const IoEngineKind kind : {IoEngineKind::kAuto, IoEngineKind::kThreads}) {
    const TempDir directory;
    DiskTuning tuning;
    tuning.make_engine = [&] { return slow(kind, 2); };
    VirtualDisk disk(options_for(directory.image(1 << 20)), tuning);
    DiskDriver driver(disk);
    CHECK(driver.fill(0, 65536, 0x11) == 0);
    CHECK(driver.flush() == 0);
    disk.prepare_switch();
    auto frozen = disk.switch_to_fresh_log();
    CHECK(driver.fill(4096, 4096, 0x22) == 0);
    frozen->wait_for_old_io(10'000);
    CHECK(frozen_holds(*frozen, 0, 65536, 0x11));
    CHECK(driver.holds(4096, 4096, 0x22));
    frozen.reset();
    disk.close();
  }
}

TEST_CASE("io_uring leaves queued reads to the thread that may wait for guest memory") {
  const TempDir directory;
  const UniqueFd file = open_file(directory.image(1 << 20), O_RDWR);
  std::unique_ptr<IoRing> ring;
  try {
    ring = std::make_unique<IoRing>();
  } catch (const std::exception& error) {
    SKIP_TEST(error.what());
  }
  Transfer first(file.get(), HostIo::Kind::kRead, 0, std::byte{0xee}), second = first;
  Transfer write(file.get(), HostIo::Kind::kWrite, 4096, std::byte{0x11});
  second.segments = {{second.buffer.data(), second.buffer.size()}};
  ring->queue(first);
  ring->queue(write);
  ring->queue(second);
  ring->kick_writes();
  CHECK(reap(*ring, 1) == std::vector<HostIo*>{&write});
  pollfd bell{ring->completion_fd(), POLLIN, 0};
  CHECK(::poll(&bell, 1, 20) == 0);
  ring->kick();
  CHECK(reap(*ring, 2).size() == 2);
  CHECK(second.buffer == std::vector<std::byte>(4096, std::byte{0}));
}

}  // namespace tintype
