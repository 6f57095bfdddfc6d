// SPDX-License-Identifier: Apache-2.0
// Undoable and nonpersistent disks: the image is left alone, the updates are where they belong, and the stack is short.
#include <chrono>
#include <thread>

#include <doctest/doctest.h>

#include "devices/block/image_tools.h"
#include "tests/unit/block/power_cut.h"
#include "tests/unit/block/test_disk.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSize = 4 << 20;

DiskOptions options_in_mode(const fs::path& image, DiskMode mode) {
  DiskOptions options = options_for(image);
  options.mode = mode;
  return options;
}

std::string bytes_of(const fs::path& image) { return read_text_file(image, 64 << 20); }

bool was_committed_as(const fs::path& image, std::uint8_t value, std::size_t length) {
  return bytes_of(image).substr(0, length) == std::string(length, static_cast<char>(value));
}

/// As `tintype disk commit` does it.
void commit(const fs::path& image) {
  const auto base = RawFile::open(image, false);
  commit_logs(find_stack(*base, {}, false), *base);
}

/// An image of 0x11 with an undoable run's log: 0x22 in the first 64 KiB.
class Undone {
 public:
  Undone() {
    {
      TestDisk plain(image);
      REQUIRE(plain.driver->fill(0, kSize, 0x11) == 0);
      plain.disk->close();
    }
    before = bytes_of(image);
    TestDisk test(options_in_mode(image, DiskMode::kUndoable));
    REQUIRE(test.driver->fill(0, 64 << 10, 0x22) == 0);
    test.disk->close();
  }
  fs::path log() const { return logs_in(directory.path()).at(0); }

  TempDir directory;
  fs::path image = directory.image(kSize);
  std::string before;
};

/// Takes pictures while the guest writes, and checks that each holds the instant.
void photograph(TestDisk& test, int count) {
  for (int i = 0; i < count; ++i) {
    const auto value = static_cast<std::uint8_t>(i + 1);
    REQUIRE(test.driver->fill(0, 32 << 10, value) == 0);
    REQUIRE(test.driver->fill((1 << 20) + 8192 * static_cast<std::uint64_t>(i % 100), 4096, value) == 0);
    const auto start = std::chrono::steady_clock::now();
    auto frozen = test.freeze();
    // On a crowded host the patience of whoever prepares ends, and one log more is there for a while.
    if (std::chrono::steady_clock::now() - start < std::chrono::seconds(1)) CHECK(test.disk->log_count() <= 2);
    REQUIRE(test.driver->fill(0, 4096, 0xff) == 0);
    CHECK(frozen_holds(*frozen, 0, 32 << 10, value));
    CHECK(frozen_holds(*frozen, (1 << 20) + 8192 * static_cast<std::uint64_t>(i % 100), 4096, value));
    frozen.reset();
    test.disk->start_commit();
    REQUIRE(test.driver->fill(4096, 8192, static_cast<std::uint8_t>(value + 1)) == 0);
  }
}

}  // namespace

TEST_CASE("an undoable disk leaves the image alone, and its updates in one log at the end") {
  const Undone undone;
  CHECK(bytes_of(undone.image) == undone.before);
  CHECK(logs_in(undone.directory.path()).size() == 1);
  const std::string error = open_error(options_for(undone.image));
  INFO(error);
  CHECK(mentions(error, "64 KiB of uncommitted updates"));
  CHECK(mentions(error, "tintype disk commit"));
  CHECK(bytes_of(undone.image) == undone.before);
  TestDisk again(options_in_mode(undone.image, DiskMode::kUndoable));
  CHECK(again.driver->holds(0, 64 << 10, 0x22));
  CHECK(again.driver->holds(64 << 10, 64 << 10, 0x11));
  REQUIRE(again.driver->fill(32 << 10, 64 << 10, 0x33) == 0);
  again.disk->close();
  commit(undone.image);
  CHECK(logs_in(undone.directory.path()).empty());
  TestDisk committed(undone.image);
  CHECK(committed.driver->holds(0, 32 << 10, 0x22));
  CHECK(committed.driver->holds(32 << 10, 64 << 10, 0x33));
  CHECK(committed.driver->holds(96 << 10, 64 << 10, 0x11));
}

TEST_CASE("an undoable disk that nothing was written to leaves nothing") {
  const TempDir directory;
  const auto image = directory.image(kSize);
  TestDisk test(options_in_mode(image, DiskMode::kUndoable));
  CHECK(test.driver->holds(0, 4096, 0));
  test.disk->close();
  CHECK(logs_in(directory.path()).empty());
  CHECK(open_error(options_for(image)) == "");
}

TEST_CASE("an undoable disk that was killed before anything was written to it stands in nobody's way") {
  const TempDir directory;
  const auto image = directory.image(kSize);
  const auto kill_one = [&](bool photographed) {
    TestDisk test(options_in_mode(image, DiskMode::kUndoable));
    const auto frozen = photographed ? test.freeze() : nullptr;
    test.abandon();
  };
  for (const bool photographed : {false, true}) {
    kill_one(photographed);
    REQUIRE(logs_in(directory.path()).size() == (photographed ? 2 : 1));
    CHECK(describe_image(image, {}).void_logs.size() == (photographed ? 2 : 1));
    CHECK_FALSE(describe_image(image, {}).has_uncommitted());
    CHECK(open_error(options_for(image, true)) == "");
    CHECK(open_error(options_in_mode(image, DiskMode::kUndoable)) == "");
    CHECK(open_error(options_for(image)) == "");
    CHECK(logs_in(directory.path()).empty());
  }
  kill_one(false);
  fs::resize_file(image, 2 * kSize);  // by another program
  CHECK(open_error(options_for(image)) == "");
}

TEST_CASE("a kept log in which nothing was flushed when the power went is not dropped") {
  const TempDir directory;
  const auto image = directory.image(kSize);
  TestDisk test(options_in_mode(image, DiskMode::kUndoable));
  REQUIRE(test.driver->fill(0, 4096, 0x22) == 0);
  test.abandon();
  PowerCut::new_boot(image);
  CHECK(mentions(open_error(options_for(image)), "0 KiB of uncommitted updates"));
  CHECK(logs_in(directory.path()).size() == 1);
}

TEST_CASE("a read-only disk and a nonpersistent one show an image with its uncommitted updates") {
  const Undone undone;
  {
    TestDisk reader(options_for(undone.image, true));
    TestDisk dreamer(options_in_mode(undone.image, DiskMode::kNonpersistent));
    CHECK(reader.driver->holds(0, 64 << 10, 0x22));
    CHECK(dreamer.driver->holds(0, 64 << 10, 0x22));
    REQUIRE(dreamer.driver->fill(0, 128 << 10, 0x44) == 0);
    CHECK(dreamer.driver->holds(0, 128 << 10, 0x44));
    CHECK(reader.driver->holds(0, 64 << 10, 0x22));
    dreamer.disk->close();
    reader.disk->close();
  }
  CHECK(bytes_of(undone.image) == undone.before);
  TestDisk again(options_in_mode(undone.image, DiskMode::kUndoable));
  CHECK(again.driver->holds(0, 64 << 10, 0x22));
  CHECK(again.driver->holds(64 << 10, 64 << 10, 0x11));
}

TEST_CASE("updates of an undoable disk are thrown away at once, or not at all") {
  const Undone undone;
  const auto whole = undone.directory.path() / "whole";
  fs::copy_file(undone.log(), whole);
  const auto base = RawFile::open(undone.image, false);
  const FoundLogs found = find_stack(*base, {}, false);
  found.current.front()->set_state(log_format::StateKind::kDiscarded);  // and killed here
  CHECK(find_stack(*base, {}, false).current.empty());
  discard_logs(find_stack(*base, {}, false), *base);
  CHECK(logs_in(undone.directory.path()).empty());
  CHECK(bytes_of(undone.image) == undone.before);
}

TEST_CASE("however often an undoable disk is photographed, two logs are the most and one is left") {
  const TempDir directory;
  const auto image = directory.image(kSize);
  TestDisk test(options_in_mode(image, DiskMode::kUndoable));
  photograph(test, 60);
  CHECK(test.commit() == "");
  CHECK(test.disk->log_count() == 1);
  CHECK(test.driver->holds(0, 4096, 0xff));
  CHECK(test.driver->holds(4096, 8192, 61));
  test.disk->close();
  CHECK(logs_in(directory.path()).size() == 1);
  CHECK(fs::file_size(logs_in(directory.path())[0]) < 3 * kSize);
  CHECK(was_committed_as(image, 0, kSize));
  commit(image);
  CHECK(was_committed_as(image, 0xff, 4096));
}

TEST_CASE("however often a nonpersistent disk is photographed, nothing is ever to be seen of it") {
  const TempDir directory;
  const auto image = directory.image(kSize);
  const auto time = fs::last_write_time(image);
  {
    TestDisk test(options_in_mode(image, DiskMode::kNonpersistent));
    photograph(test, 60);
    CHECK(test.commit() == "");
    CHECK(test.disk->log_count() == 1);
    CHECK(test.driver->holds(0, 4096, 0xff));
    CHECK(logs_in(directory.path()).empty());
    test.abandon();  // as kill -9
  }
  CHECK(logs_in(directory.path()).empty());
  CHECK(was_committed_as(image, 0, kSize));
  CHECK(fs::last_write_time(image) == time);
}

TEST_CASE("a nonpersistent disk makes nothing durable") {
  const TempDir directory;
  ScriptedDisk test(options_in_mode(directory.image(kSize), DiskMode::kNonpersistent));
  REQUIRE(test.driver->fill(0, 4096, 1) == 0);
  REQUIRE(test.driver->flush() == 0);
  CHECK(test.io->syncs == 0);
}

TEST_CASE("a log that was merged into the one below it does not count when it is found again") {
  const TempDir directory;
  const auto image = directory.image(kSize);
  TestDisk test(options_in_mode(image, DiskMode::kUndoable));
  REQUIRE(test.driver->fill(0, 4096, 1) == 0);
  auto frozen = test.freeze();
  REQUIRE(test.driver->fill(0, 4096, 2) == 0);
  const auto upper = logs_in(directory.path()).at(1);
  const auto kept = directory.path() / "kept";
  fs::copy_file(upper, kept);
  frozen.reset();
  REQUIRE(test.commit() == "");
  REQUIRE(test.driver->fill(0, 4096, 3) == 0);
  fs::rename(kept, upper);
  test.abandon();
  TestDisk again(options_in_mode(image, DiskMode::kUndoable));
  CHECK(again.driver->holds(0, 4096, 3));
  CHECK(logs_in(directory.path()).size() == 1);
}

TEST_CASE("an undoable disk that was killed with two logs goes on with both, and soon with one") {
  const TempDir directory;
  const auto image = directory.image(kSize);
  {
    TestDisk test(options_in_mode(image, DiskMode::kUndoable));
    REQUIRE(test.driver->fill(0, 16384, 1) == 0);
    auto frozen = test.freeze();
    REQUIRE(test.driver->fill(4096, 4096, 2) == 0);
  }
  for (int round = 0; round < 2; ++round) {
    TestDisk test(options_in_mode(image, DiskMode::kUndoable));
    CHECK(test.driver->holds(0, 4096, 1));
    CHECK(test.driver->holds(4096, 4096, 2));
    CHECK(test.driver->holds(8192, 8192, 1));
    CHECK(test.commit() == "");
    CHECK(test.disk->log_count() == 1);
  }
  CHECK(was_committed_as(image, 0, kSize));
}

TEST_CASE("a commit of an undoable disk's log that was cut short is finished by whoever opens the image") {
  const Undone undone;
  {
    const auto base = RawFile::open(undone.image, false);
    const FoundLogs found = find_stack(*base, {}, false);
    found.current.front()->set_state(log_format::StateKind::kCommitting);
  }
  TestDisk test(undone.image);
  CHECK(test.driver->holds(0, 64 << 10, 0x22));
  CHECK(logs_in(undone.directory.path()).empty());
}

}  // namespace tintype
