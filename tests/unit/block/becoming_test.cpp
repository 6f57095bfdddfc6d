// SPDX-License-Identifier: Apache-2.0
// A disk becomes another one, at once or not at all.
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/wait.h>

#include <cstring>

#include <doctest/doctest.h>

#include "tests/unit/block/test_disk.h"

namespace tintype {

namespace {

constexpr std::uint64_t kSize = (5 << 20) + 512;

/// A disk in memory.
class Wanted final : public DiskContents {
 public:
  Wanted() : bytes_(kSize) {}
  void fill(std::uint64_t offset, std::size_t length, std::uint8_t value) {
    std::memset(bytes_.data() + offset, value, length);
  }
  std::uint64_t size() const noexcept override { return bytes_.size(); }
  void read(std::uint64_t offset, std::span<std::byte> into) override {
    if (++reads_ == fails_at) throw Error("this one cannot be read");
    std::memcpy(into.data(), bytes_.data() + offset, into.size());
  }
  std::optional<Range> next_data(std::uint64_t offset) override {
    while (offset < size() && bytes_[offset] == std::byte{0}) ++offset;
    return offset < size() ? std::optional(Range{offset, 1}) : std::nullopt;
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }
  int fails_at = 0;

 private:
  std::vector<std::byte> bytes_;
  int reads_ = 0;
};

Wanted wanted() {
  Wanted disk;
  disk.fill(4096 * 3, 4096, 7);
  disk.fill((1 << 20) - 512, 1024, 8);
  disk.fill(kSize - 512, 512, 9);
  return disk;
}

std::vector<std::byte> contents(DiskDriver& driver) {
  std::vector<std::byte> data(kSize);
  REQUIRE(driver.read(0, data) == 0);
  return data;
}

bool become(VirtualDisk& disk, DiskContents& other) {
  disk.prepare_switch();
  try {
    return disk.prepare_contents(other);
  } catch (...) {
    disk.cancel_switch();
    throw;
  }
}

void write_old(DiskDriver& driver) {
  const std::vector<std::byte> ones(64 << 10, std::byte{1});
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{2 << 20}})
    REQUIRE(driver.write(offset, ones) == 0);
  REQUIRE(driver.flush() == 0);
}

std::vector<std::byte> reopened(const DiskOptions& options) {
  TestDisk test(options);
  auto data = contents(*test.driver);
  test.driver.reset();
  test.disk->close();
  return data;
}

/// The disk becomes what is wanted, in a process that is killed before it counts, or after.
void become_and_die(const DiskOptions& options, bool counts) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
      VirtualDisk disk(options);
      Wanted other = wanted();
      if (!become(disk, other)) ::_exit(4);
      if (counts) disk.take_contents();
      ::_exit(0);
    } catch (...) {
      ::_exit(5);
    }
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WEXITSTATUS(status) == 0);
}

}  // namespace

TEST_CASE("a disk of any mode becomes another one, and goes on from there") {
  for (const DiskMode mode : {DiskMode::kPersistent, DiskMode::kUndoable, DiskMode::kNonpersistent}) {
    const TempDir directory;
    DiskOptions options = options_for(directory.image(kSize));
    options.mode = mode;
    CAPTURE(name_of(mode));
    TestDisk test(options);
    write_old(*test.driver);
    Wanted other = wanted();
    CHECK(become(*test.disk, other));
    test.disk->take_contents();
    CHECK(contents(*test.driver) == other.bytes());
    const std::vector<std::byte> news(4096, std::byte{5});
    REQUIRE(test.driver->write(4096, news) == 0);
    other.fill(4096, 4096, 5);
    CHECK(test.commit().empty());
    CHECK(contents(*test.driver) == other.bytes());
    CHECK_FALSE(become(*test.disk, other));
    test.disk->take_contents();
    CHECK(contents(*test.driver) == other.bytes());
    test.driver.reset();
    test.disk->close();
    test.disk.reset();
    const bool stays = mode != DiskMode::kNonpersistent;
    CHECK((reopened(options) == other.bytes()) == stays);
  }
}

TEST_CASE("what cannot be read leaves the disk as it was, and no log") {
  const TempDir directory;
  TestDisk test(options_for(directory.image(kSize)));
  write_old(*test.driver);
  const auto before = contents(*test.driver);
  Wanted other = wanted();
  other.fails_at = 2;
  CHECK_THROWS_AS(become(*test.disk, other), Error);
  CHECK(contents(*test.driver) == before);
  CHECK(logs_in(directory.path()).empty());
}

TEST_CASE("a read-only disk stays what it is") {
  const TempDir directory;
  TestDisk test(options_for(directory.image(kSize), true));
  Wanted same, other = wanted();
  CHECK_FALSE(become(*test.disk, same));
  test.disk->take_contents();
  CHECK_THROWS_AS(become(*test.disk, other), Error);
}

TEST_CASE("killed before the log counts it is the old disk, and after it the new one") {
  for (const DiskMode mode : {DiskMode::kPersistent, DiskMode::kUndoable}) {
    for (const bool counts : {false, true}) {
      const TempDir directory;
      DiskOptions options = options_for(directory.image(kSize));
      options.mode = mode;
      CAPTURE(name_of(mode));
      CAPTURE(counts);
      std::vector<std::byte> before;
      {
        TestDisk test(options);
        write_old(*test.driver);
        before = contents(*test.driver);
        test.driver.reset();
        test.disk->close();
      }
      become_and_die(options, counts);
      const bool may_be_committed = counts && mode == DiskMode::kPersistent;  // if the kill came late
      if (!may_be_committed) CHECK_FALSE(logs_in(directory.path()).empty());
      CHECK(reopened(options) == (counts ? wanted().bytes() : before));
    }
  }
}

}  // namespace tintype
