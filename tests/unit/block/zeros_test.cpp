// SPDX-License-Identifier: Apache-2.0
// Sectors that were discarded, or written with zeros: holes in the base, records in a log.
#include <sys/stat.h>

#include <doctest/doctest.h>

#include "tests/unit/block/test_disk.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

constexpr std::uint64_t kDisk = 4 << 20;

std::uint64_t room_of(const std::filesystem::path& file) {
  struct stat info {};
  REQUIRE(::stat(file.c_str(), &info) == 0);
  return static_cast<std::uint64_t>(info.st_blocks) * 512;
}

DiskOptions undoable(const std::filesystem::path& image) {
  DiskOptions options = options_for(image);
  options.mode = DiskMode::kUndoable;
  return options;
}

}  // namespace

TEST_CASE("a discard shrinks the image and reads as zeros, and zeros that must stay allocated do not shrink it") {
  const TempDir directory;
  const auto image = directory.image(kDisk);
  TestDisk test(image);
  REQUIRE(test.driver->fill(0, kDisk, 0x11) == 0);
  REQUIRE(test.driver->flush() == 0);
  const std::uint64_t before = room_of(image);
  CHECK(test.driver->zero(0, 1 << 20, false) == 0);
  CHECK(room_of(image) + (256 << 10) > before);
  CHECK(test.driver->zero(1 << 20, 2 << 20) == 0);
  CHECK(room_of(image) + (2 << 20) <= before + (64 << 10));
  CHECK(test.driver->holds(0, 3 << 20, 0));
  CHECK(test.driver->holds(3 << 20, 1 << 20, 0x11));
  CHECK(test.driver->zero((3 << 20) + 512, 512) == 0);  // less than a block of the file system
  CHECK(test.driver->holds(3 << 20, 512, 0x11));
  CHECK(test.driver->holds((3 << 20) + 512, 512, 0));
  CHECK(test.driver->holds((3 << 20) + 1024, 512, 0x11));
}

TEST_CASE("a discard above a frozen disk leaves that alone, and shrinks the base when it is committed") {
  const TempDir directory;
  const auto image = directory.image(kDisk);
  TestDisk test(image);
  REQUIRE(test.driver->fill(0, kDisk, 0x11) == 0);
  REQUIRE(test.driver->flush() == 0);
  const std::uint64_t before = room_of(image);
  auto frozen = test.freeze();
  CHECK(test.driver->zero(0, 2 << 20) == 0);
  CHECK(test.driver->holds(0, 2 << 20, 0));
  CHECK(test.driver->holds(2 << 20, 2 << 20, 0x11));
  CHECK(frozen_holds(*frozen, 0, kDisk, 0x11));
  auto second = test.freeze();
  CHECK(frozen_holds(*second, 0, 2 << 20, 0));
  const auto change = second->next_change(0);
  REQUIRE(change);
  CHECK(change->offset == 0);
  frozen.reset();
  second.reset();
  CHECK(test.commit() == "");
  CHECK(test.disk->log_count() == 0);
  CHECK(room_of(image) + (2 << 20) <= before + (64 << 10));
  CHECK(test.driver->holds(0, 2 << 20, 0));
}

TEST_CASE("what was discarded stays zeros when a killed machine's log is found") {
  const TempDir directory;
  const auto image = directory.image(kDisk);
  {
    TestDisk test(image);
    REQUIRE(test.driver->fill(0, kDisk, 0x11) == 0);
    auto frozen = test.freeze();
    CHECK(test.driver->fill(0, 8192, 0x22) == 0);
    CHECK(test.driver->zero(4096, 1 << 20) == 0);
    CHECK(test.driver->fill(16384, 4096, 0x33) == 0);
    frozen.reset();
    test.abandon();
  }
  TestDisk again(image);
  CHECK(again.driver->holds(0, 4096, 0x22));
  CHECK(again.driver->holds(4096, 12288, 0));
  CHECK(again.driver->holds(16384, 4096, 0x33));
  CHECK(again.driver->holds(20480, (1 << 20) + 4096 - 20480, 0));
  CHECK(again.driver->holds((1 << 20) + 4096, 4096, 0x11));
}

TEST_CASE("an undoable disk goes on with what was discarded, through its checkpoints too") {
  const TempDir directory;
  const auto image = directory.image(kDisk);
  {
    TestDisk base(image);
    REQUIRE(base.driver->fill(0, kDisk, 0x11) == 0);
    base.disk->close();
  }
  {
    TestDisk test(undoable(image));
    CHECK(test.driver->zero(0, 1 << 20) == 0);
    test.freeze().reset();
    CHECK(test.driver->fill(4096, 4096, 0x22) == 0);
    CHECK(test.driver->zero(1 << 20, 4096) == 0);
    CHECK(test.commit() == "");
    CHECK(test.disk->log_count() == 1);
    test.disk->close();
  }
  {
    TestDisk test(undoable(image));
    CHECK(test.driver->holds(0, 4096, 0));
    CHECK(test.driver->holds(4096, 4096, 0x22));
    CHECK(test.driver->holds(8192, (1 << 20) - 4096, 0));
    CHECK(test.driver->holds((1 << 20) + 4096, 4096, 0x11));
    test.disk->close();
  }
  CHECK(read_text_file(image, 2 * kDisk) == std::string(kDisk, '\x11'));  // the image itself is as it was
}

TEST_CASE("sectors that are written and discarded in turn do not make a log grow") {
  const TempDir directory;
  TestDisk test(undoable(directory.image(kDisk)));
  REQUIRE(test.driver->fill(0, 1 << 20, 0x11) == 0);
  const auto log = logs_in(directory.path()).at(0);
  const std::uint64_t bytes = std::filesystem::file_size(log);
  for (int round = 0; round < 40; ++round) {
    REQUIRE(test.driver->zero(0, 1 << 20) == 0);
    REQUIRE(test.driver->fill(0, 1 << 20, 0x22) == 0);
  }
  CHECK(std::filesystem::file_size(log) <= bytes + (2 << 20));
  CHECK(room_of(log) <= (1 << 20) + (256 << 10));
  CHECK(test.driver->zero(0, 1 << 20) == 0);
  CHECK(room_of(log) <= 256 << 10);  // and gives back the room of their data
  CHECK(test.driver->holds(0, 1 << 20, 0));
}

TEST_CASE("where the file system punches no holes zeros are written, in the base and in a log that is committed") {
  const TempDir directory;
  ScriptedDisk test(directory.image(kDisk));
  const auto no_holes = [](const HostIo& io) { return io.kind == HostIo::Kind::kZero ? EOPNOTSUPP : 0; };
  REQUIRE(test.driver->fill(0, kDisk, 0x11) == 0);
  test.io->fail = no_holes;
  CHECK(test.driver->zero(4096, 3 << 20) == 0);
  CHECK(test.driver->holds(4096, 3 << 20, 0));
  CHECK(test.driver->holds(0, 4096, 0x11));
  CHECK(test.driver->holds((3 << 20) + 4096, 4096, 0x11));
}

TEST_CASE("a discard that the host fails is told to the guest, and what the log held is not lost") {
  const TempDir directory;
  ScriptedDisk test(directory.image(kDisk));
  auto frozen = test.freeze();
  REQUIRE(test.driver->fill(0, 8192, 0x11) == 0);
  test.io->fail = [](const HostIo& io) { return io.kind == HostIo::Kind::kZero ? EIO : 0; };
  CHECK(test.driver->zero(0, 4096) == EIO);
  CHECK(test.driver->holds(0, 8192, 0x11));
  test.io->fail = nullptr;
  CHECK(test.driver->zero(0, 4096) == 0);
  CHECK(test.driver->holds(0, 4096, 0));
  CHECK(test.driver->holds(4096, 4096, 0x11));
}

}  // namespace tintype
