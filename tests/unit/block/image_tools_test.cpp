// SPDX-License-Identifier: Apache-2.0
// Images between two runs: looked at, committed, discarded, checked, read out.
#include "devices/block/image_tools.h"

#include <fcntl.h>

#include <doctest/doctest.h>

#include "tests/unit/block/test_disk.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kBytes = 1 << 20;

/// An image of 0x11 with 0x22 in two separate blocks of an undoable disk's log.
class Kept {
 public:
  Kept() {
    TestDisk plain(image);
    REQUIRE(plain.driver->fill(0, kBytes, 0x11) == 0);
    plain.disk->close();
    DiskOptions options = options_for(image);
    options.mode = DiskMode::kUndoable;
    TestDisk test(options);
    REQUIRE(test.driver->fill(0, 4096, 0x22) == 0);
    REQUIRE(test.driver->fill(64 << 10, 4096, 0x22) == 0);
    test.disk->close();
    log = logs_in(directory.path()).at(0);
  }
  bool image_holds(std::uint64_t offset, std::size_t length, std::uint8_t value) const {
    std::vector<std::byte> data(length);
    read_exactly(open_file(image, O_RDONLY).get(), data, offset, image.string());
    return data == std::vector<std::byte>(length, std::byte{value});
  }
  void set_state(log_format::StateKind kind) const {
    const auto base = RawFile::open(image, false);
    find_stack(*base, {}, false).current.at(0)->set_state(kind);
  }
  std::size_t defects(bool repair = false) const { return check_image(image, {}, repair).size(); }
  /// Damages a byte of the log.
  void poke(std::uint64_t offset) const {
    const UniqueFd fd = open_file(log, O_RDWR);
    std::byte value{};
    read_exactly(fd.get(), {&value, 1}, offset, log.string());
    value ^= std::byte{1};
    write_exactly(fd.get(), {&value, 1}, offset, log.string());
  }

  TempDir directory;
  fs::path image = directory.image(kBytes);
  fs::path log;
};

}  // namespace

TEST_CASE("an image tells what waits above it") {
  const Kept kept;
  const ImageInfo info = describe_image(kept.image, {});
  CHECK(info.bytes == kBytes);
  CHECK(info.has_uncommitted());
  REQUIRE(info.logs.size() == 1);
  CHECK(info.logs[0].bytes == 8192);
  CHECK(info.logs[0].ranges == 2);
  CHECK(info.void_logs.empty());
  CHECK(kept.defects() == 0);
}

TEST_CASE("what waits above an image is committed to it") {
  const Kept kept;
  CHECK(commit_image(kept.image, {}) == 8192);
  CHECK(kept.image_holds(0, 4096, 0x22));
  CHECK(kept.image_holds(64 << 10, 4096, 0x22));
  CHECK(kept.image_holds(4096, 4096, 0x11));
  CHECK(!fs::exists(kept.log));
  CHECK(commit_image(kept.image, {}) == 0);
}

TEST_CASE("what waits above an image is thrown away, unless a commit has begun") {
  const Kept kept;
  kept.set_state(log_format::StateKind::kCommitting);
  CHECK_THROWS_WITH_AS(discard_image(kept.image, {}), doctest::Contains("tintype disk commit"), Error);
  kept.set_state(log_format::StateKind::kStable);
  CHECK(discard_image(kept.image, {}) == 8192);
  CHECK(kept.image_holds(0, kBytes, 0x11));
  CHECK(!fs::exists(kept.log));
}

TEST_CASE("an image that a machine runs on is left alone") {
  const Kept kept;
  DiskOptions options = options_for(kept.image);
  options.mode = DiskMode::kUndoable;
  const TestDisk test(options);
  CHECK_THROWS_WITH_AS(commit_image(kept.image, {}), doctest::Contains("in use"), Error);
  CHECK_THROWS_WITH_AS(describe_image(kept.image, {}), doctest::Contains("in use"), Error);
}

TEST_CASE("a check names each record that is damaged, and mends none of them") {
  const Kept kept;
  kept.poke(log_format::slot_offset(0) + 3);
  kept.poke(log_format::slot_offset(1) + 9);
  for (const bool repair : {false, true}) {
    const auto defects = check_image(kept.image, {}, repair);
    REQUIRE(defects.size() == 2);
    CHECK(mentions(defects[0].what, "record 0"));
    CHECK(mentions(defects[1].what, "record 1"));
    CHECK(!defects[0].mended);
  }
  CHECK_THROWS_AS(commit_image(kept.image, {}), Error);
}

TEST_CASE("a check goes on behind a damaged state, and looks for what is missing all the same") {
  const Kept kept;
  kept.poke(log_format::kStateOffset + 4);
  kept.poke(log_format::slot_offset(0) + 8);
  auto defects = check_image(kept.image, {}, false);
  REQUIRE(defects.size() == 2);
  CHECK(mentions(defects[0].what, "state"));
  CHECK(mentions(defects[1].what, "record 0"));
  const auto base = RawFile::open(kept.image, false);
  ImageMark mark = *base->mark();
  mark.last_log = 3;
  base->set_mark(mark);
  base->unlock();
  defects = check_image(kept.image, {}, false);
  REQUIRE(defects.size() == 3);
  CHECK(mentions(defects[2].what, "missing"));
}

TEST_CASE("a check names a damaged header, a missing log, an image that was changed") {
  const Kept kept;
  const auto away = kept.directory.path() / "away";
  fs::copy_file(kept.log, away);
  kept.poke(100);
  CHECK(mentions(check_image(kept.image, {}, false).at(0).what, "superblock"));
  fs::remove(kept.log);
  CHECK(mentions(check_image(kept.image, {}, false).at(0).what, "missing"));
  fs::copy_file(away, kept.log);
  CHECK(kept.defects() == 0);
  fs::last_write_time(kept.image, fs::last_write_time(kept.image) + std::chrono::seconds(5));
  CHECK(mentions(check_image(kept.image, {}, false).at(0).what, "changed by something else"));
}

TEST_CASE("what was begun and cut short is named, and finished by a repair") {
  for (const auto kind : {log_format::StateKind::kCommitting, log_format::StateKind::kDiscarded}) {
    const Kept kept;
    kept.set_state(kind);
    CHECK(kept.defects() == 1);
    CHECK(check_image(kept.image, {}, true).at(0).mended);
    CHECK(kept.defects() == 0);
    CHECK(!fs::exists(kept.log));
    CHECK(kept.image_holds(0, 4096, kind == log_format::StateKind::kCommitting ? 0x22 : 0x11));
    CHECK(open_error(options_for(kept.image)) == "");
  }
}

TEST_CASE("an image is read out as it is with its updates") {
  const Kept kept;
  std::vector<std::byte> disk;
  const std::uint64_t uncommitted = read_image(
      kept.image, {}, [&](std::uint64_t bytes) { disk.resize(bytes); },
      [&](std::uint64_t offset, std::span<const std::byte> data) {
        std::copy(data.begin(), data.end(), disk.begin() + static_cast<std::ptrdiff_t>(offset));
      });
  REQUIRE(disk.size() == kBytes);
  CHECK(disk[0] == std::byte{0x22});
  CHECK(disk[4096] == std::byte{0x11});
  CHECK(disk[64 << 10] == std::byte{0x22});
  CHECK(uncommitted == 8192);
}

}  // namespace tintype
