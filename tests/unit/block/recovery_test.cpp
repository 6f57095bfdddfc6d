// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include <sys/stat.h>
#include <sys/xattr.h>

#include <chrono>
#include <cstring>

#include <doctest/doctest.h>

#include "devices/block/image_tools.h"
#include "devices/block/redo_log_format.h"
#include "tests/unit/block/test_disk.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

/// A disk whose machine was killed with two logs on top: 0x11 in the base, 0x22 in the lower log, 0x33 in the
/// upper.
class Leftover {
 public:
  Leftover() : image(directory.image(4 << 20)) { leave(image); }

  static void leave(const fs::path& image, const fs::path& log_directory = {}) {
    TestDisk test(image, log_directory);
    REQUIRE(test.driver->fill(0, 64 << 10, 0x11) == 0);
    auto lower = test.freeze();
    REQUIRE(test.driver->fill(16 << 10, 32 << 10, 0x22) == 0);
    auto upper = test.freeze();
    REQUIRE(test.driver->fill(32 << 10, 8 << 10, 0x33) == 0);
  }
  static bool whole(DiskDriver& driver) {
    return driver.holds(0, 16 << 10, 0x11) && driver.holds(16 << 10, 16 << 10, 0x22) &&
           driver.holds(32 << 10, 8 << 10, 0x33) && driver.holds(40 << 10, 8 << 10, 0x22) &&
           driver.holds(48 << 10, 16 << 10, 0x11);
  }
  bool recovers(const fs::path& log_directory = {}) const {
    TestDisk test(image, log_directory);
    return test.disk->log_count() == 0 && whole(*test.driver) && logs_in(directory.path()).empty();
  }
  /// Opening fails with a sentence that contains `part`, and changes nothing.
  bool refuses(const std::string& part) const {
    const auto before = contents();
    const std::string error = open_error(options_for(image));
    INFO(error);
    CHECK(mentions(error, part));
    return mentions(error, part) && contents() == before;
  }

  TempDir directory;
  fs::path image;

 private:
  std::vector<std::string> contents() const {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(directory.path())) {
      if (entry.is_regular_file()) all.push_back(entry.path().string() + read_text_file(entry.path(), 64 << 20));
    }
    std::sort(all.begin(), all.end());
    return all;
  }
};

void poke(const fs::path& file, std::uint64_t offset, std::uint8_t change) {
  const UniqueFd fd = open_file(file, O_RDWR);
  std::byte value{};
  read_exactly(fd.get(), {&value, 1}, offset, file.string());
  value ^= std::byte{change};
  write_exactly(fd.get(), {&value, 1}, offset, file.string());
}

}  // namespace

TEST_CASE("logs that a killed machine left are committed at the next start") {
  const Leftover left;
  CHECK(logs_in(left.directory.path()).size() == 2);
  CHECK(left.recovers());
}

TEST_CASE("a named pipe called like a log is refused, and not waited for") {
  const Leftover left;
  const fs::path pipe = left.directory.path() / "disk.img.0009.redo";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  for (const bool read_only : {false, true})
    CHECK(mentions(open_error(options_for(left.image, read_only)), "is no file: give it another name"));
  const auto defects = check_image(left.image, {}, false);
  CHECK(std::ranges::any_of(defects, [&](const ImageDefect& defect) { return mentions(defect.what, "is no file"); }));
  fs::remove(pipe);
  CHECK(left.recovers());
}

TEST_CASE("a read-only disk reads through left-over logs and leaves them alone") {
  const Leftover left;
  {
    const auto disk = std::make_unique<VirtualDisk>(options_for(left.image, true));
    DiskDriver driver(*disk);
    CHECK(disk->log_count() == 2);
    CHECK(Leftover::whole(driver));
    disk->prepare_switch();
    auto frozen = disk->switch_to_fresh_log();
    frozen->wait_for_old_io(1'000);
    CHECK(frozen_holds(*frozen, 32 << 10, 8 << 10, 0x33));
    frozen.reset();
    disk->close();
  }
  CHECK(logs_in(left.directory.path()).size() == 2);
  CHECK(left.recovers());
}

TEST_CASE("any changed byte in a log's header or records is refused, and nothing is changed") {
  const Leftover left;
  const auto log = logs_in(left.directory.path())[0];
  std::vector<std::uint64_t> offsets;
  for (std::uint64_t i = 0; i < 4096; i += 61) offsets.push_back(i);
  for (std::uint64_t i = 0; i < 512; i += 13) offsets.push_back(log_format::kStateOffset + i);
  for (std::uint64_t i = 0; i < 3 * log_format::kRecordBytes; ++i) offsets.push_back(log_format::kHeaderBytes + i);
  for (const std::uint64_t offset : offsets) {
    CAPTURE(offset);
    poke(log, offset, 0x40);
    const std::string error = open_error(options_for(left.image));
    CHECK(mentions(error, log.string()));
    CHECK((mentions(error, "is damaged") || mentions(error, "format version")));
    poke(log, offset, 0x40);
  }
  CHECK(left.recovers());
}

TEST_CASE("a flushed record that became zeros is missed") {
  const TempDir directory;
  const fs::path image = directory.image(4 << 20);
  {
    TestDisk test(image);
    auto frozen = test.freeze();
    for (std::uint64_t i = 0; i < 40; ++i) REQUIRE(test.driver->fill(i * (32 << 10), 4096, 0x44) == 0);
    REQUIRE(test.driver->flush() == 0);
    for (std::uint64_t i = 0; i < 3; ++i) REQUIRE(test.driver->fill((2 << 20) + i * (32 << 10), 4096, 0x55) == 0);
  }
  const auto log = logs_in(directory.path())[0];
  const std::string before = read_text_file(log, 64 << 20);
  const auto lose = [&](std::uint64_t first, std::uint64_t count) {
    std::string lost = before;
    lost.replace(log_format::slot_offset(first), count * log_format::kRecordBytes,
                 std::string(count * log_format::kRecordBytes, '\0'));
    write_exactly(open_file(log, O_WRONLY).get(), std::as_bytes(std::span(lost)), 0, log.string());
  };
  lose(16, 16);
  CHECK(mentions(open_error(options_for(image)), "16 of the 40 records that were flushed last are missing"));
  const auto defects = check_image(image, {}, false);
  CHECK(std::ranges::any_of(defects, [](const ImageDefect& defect) { return mentions(defect.what, "are missing"); }));
  lose(42, 1);  // was never flushed: nobody was told that it is there
  TestDisk test(image);
  CHECK(test.driver->holds(39 * (32 << 10), 4096, 0x44));
  CHECK(test.driver->holds(2 << 20, 4096, 0x55));
}

TEST_CASE("a log that is cut off anywhere is refused, and nothing is changed") {
  const Leftover left;
  const auto log = logs_in(left.directory.path())[1];
  const auto size = fs::file_size(log);
  const auto copy = left.directory.path() / "copy";
  fs::copy_file(log, copy);
  for (const std::uint64_t length :
       {std::uint64_t{0}, std::uint64_t{100}, std::uint64_t{4096}, std::uint64_t{4600}, log_format::kHeaderBytes + 7,
        log_format::kHeaderBytes + 32, size - 4096, size - 512, size - 1}) {
    CAPTURE(length);
    fs::resize_file(log, length);
    CHECK(left.refuses("is damaged"));
    const UniqueFd fd = open_file(log, O_WRONLY | O_TRUNC);
    const std::string whole = read_text_file(copy, 64 << 20);
    write_exactly(fd.get(), std::as_bytes(std::span(whole)), 0, log.string());
  }
  CHECK(left.recovers());
}

TEST_CASE("a log whose last flush is missing is refused, wherever it was cut off") {
  const Leftover left;  // nothing of which was flushed
  { CHECK(TestDisk(left.image).driver->flush() == 0); }
  {
    TestDisk test(left.image);
    const auto frozen = test.freeze();
    REQUIRE(test.driver->fill(0, 64 << 10, 0x44) == 0);
    REQUIRE(test.driver->flush() == 0);
  }
  const auto log = logs_in(left.directory.path()).at(0);
  const std::string whole = read_text_file(log, 64 << 20);
  for (const std::uint64_t length : {log_format::kLastFlushOffset, log_format::kLastFlushOffset + 31,
                                     std::uint64_t{5000}, log_format::kHeaderBytes, log_format::kHeaderBytes + 31}) {
    CAPTURE(length);
    fs::resize_file(log, length);
    CHECK(left.refuses("it is cut off after"));
    const auto defects = check_image(left.image, {}, false);
    REQUIRE(!defects.empty());
    CHECK(mentions(defects[0].what, "it is cut off after"));
    const UniqueFd fd = open_file(log, O_WRONLY);
    write_exactly(fd.get(), std::as_bytes(std::span(whole)), 0, log.string());
  }
  CHECK(open_error(options_for(left.image)).empty());
}

TEST_CASE("a log of several groups that ends between two of them is refused") {
  const TempDir directory;
  DiskOptions options = options_for(directory.image(16 << 20));
  options.mode = DiskMode::kUndoable;
  {
    TestDisk test(options);
    for (std::uint64_t at = 0; at < 1'200; ++at) REQUIRE(test.driver->fill(at << 12, 2048, 0x5a) == 0);
    REQUIRE(test.driver->flush() == 0);
  }
  const auto log = logs_in(directory.path()).at(0);
  fs::resize_file(log, log_format::kHeaderBytes + 2 * log_format::kGroupBytes);
  CHECK(mentions(open_error(options), "what was flushed last is missing"));
}

TEST_CASE("an image that was changed behind the log's back is not made worse") {
  const Leftover left;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // time stamps may be as coarse as a timer tick
  poke(left.image, 1 << 20, 0xff);
  CHECK(left.refuses("has been changed by something else"));
  for (const auto& log : logs_in(left.directory.path())) fs::remove(log);  // as the sentence says
  ::removexattr(left.image.c_str(), kImageMarkAttribute);
  CHECK(open_error(options_for(left.image)) == "");
}

TEST_CASE("an image of another size, or another image, does not get the updates of a log") {
  {
    const Leftover left;
    fs::resize_file(left.image, 8 << 20);
    CHECK(left.refuses("has 8388608 bytes, but had 4194304"));
  }
  {
    const Leftover left;
    const auto copy = left.directory.path() / "copy";
    fs::copy_file(left.image, copy);
    fs::rename(copy, left.image);
    // Made within one tick of the kernel's clock, the copy could bear the original's time stamp, and then it counts as
    // the same.
    fs::last_write_time(left.image, fs::last_write_time(left.image) + std::chrono::hours(1));
    CHECK(left.refuses("is another file"));
  }
}

TEST_CASE("an image that was moved together with its logs, or copied with its time stamp, is still theirs") {
  {
    const Leftover left;
    const auto elsewhere = left.directory.path() / "elsewhere";
    fs::create_directory(elsewhere);
    for (const auto& log : logs_in(left.directory.path())) fs::rename(log, elsewhere / log.filename());
    fs::rename(left.image, elsewhere / left.image.filename());
    TestDisk test(elsewhere / left.image.filename());
    CHECK(Leftover::whole(*test.driver));
  }
  {
    const Leftover left;
    struct stat info {};
    REQUIRE(::stat(left.image.c_str(), &info) == 0);
    const auto copy = left.directory.path() / "copy";
    fs::copy_file(left.image, copy);
    const timespec times[2] = {info.st_atim, info.st_mtim};
    REQUIRE(::utimensat(AT_FDCWD, copy.c_str(), times, 0) == 0);
    fs::rename(copy, left.image);
    CHECK(left.recovers());
  }
}

TEST_CASE("a log that is missing from the middle, or there twice, is noticed") {
  const Leftover left;
  const auto logs = logs_in(left.directory.path());
  {
    TestDisk test(left.image);  // commits them
    test.abandon();
    Leftover::leave(left.image);
    const auto twice = left.directory.path() / "disk.img.0009.redo";
    fs::copy_file(logs[1], twice);
    CHECK(left.refuses("both redo log number 2"));
    fs::remove(twice);
    CHECK(left.recovers());
  }
  TestDisk test(left.image);
  auto first = test.freeze();
  REQUIRE(test.driver->fill(0, 512, 1) == 0);
  auto second = test.freeze();
  REQUIRE(test.driver->fill(0, 512, 2) == 0);
  auto third = test.freeze();
  REQUIRE(test.driver->fill(0, 512, 3) == 0);
  first.reset(), second.reset(), third.reset();
  test.abandon();
  fs::remove(logs_in(left.directory.path())[1]);
  CHECK(left.refuses("is missing"));
}

TEST_CASE("a log in a directory of its own is found without naming that directory") {
  const TempDir directory, logs;
  const auto image = directory.image(4 << 20);
  Leftover::leave(image, logs.path());
  CHECK(logs_in(logs.path()).size() == 2);
  CHECK(logs_in(directory.path()).size() == 2);  // the links that lead to them
  {
    TestDisk test(image);
    CHECK(Leftover::whole(*test.driver));
  }
  CHECK(logs_in(logs.path()).empty());
  CHECK(logs_in(directory.path()).empty());
  Leftover::leave(image, logs.path());
  fs::remove(logs_in(logs.path())[0]);
  CHECK(mentions(open_error(options_for(image)), "leads to is missing"));
}

TEST_CASE("images of the same name share a directory for logs without harm") {
  const TempDir here, there, logs;
  const auto image = here.image(4 << 20);
  const auto other = there.image(4 << 20);
  Leftover::leave(image, logs.path());
  Leftover::leave(other, logs.path());
  CHECK(logs_in(logs.path()).size() == 4);
  for (const auto& each : {other, image}) {
    TestDisk test(each, logs.path());
    CHECK(test.disk->log_count() == 0);
    CHECK(Leftover::whole(*test.driver));
  }
  CHECK(logs_in(logs.path()).empty());
}

TEST_CASE("a log that was committed but not deleted in time is deleted, never replayed") {
  const TempDir directory;
  const auto image = directory.image(4 << 20);
  TestDisk test(image);
  auto frozen = test.freeze();
  REQUIRE(test.driver->fill(0, 4096, 0x22) == 0);
  auto above = test.freeze();  // so that the log is committed as a frozen one, whose records stay as they are
  const auto log = logs_in(directory.path())[0];
  const auto kept = directory.path() / "kept";
  fs::create_hard_link(log, kept);  // the file will come back
  frozen.reset(), above.reset();
  CHECK(test.commit() == "");
  REQUIRE(test.driver->fill(0, 4096, 0x33) == 0);
  test.abandon();
  fs::rename(kept, log);
  TestDisk again(image);
  CHECK(again.driver->holds(0, 4096, 0x33));
  CHECK(logs_in(directory.path()).empty());
}

}  // namespace tintype
