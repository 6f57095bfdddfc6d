// SPDX-License-Identifier: Apache-2.0
// A disk whose image is still being restored: what may be said to be durable, and what becomes of reads that fail.
#include <unistd.h>

#include <atomic>
#include <functional>
#include <future>
#include <system_error>
#include <thread>

#include <doctest/doctest.h>

#include "tests/unit/block/test_disk.h"

namespace tintype {

namespace {

constexpr std::size_t kDisk = 1 << 20;

/// What has not come holds zeros in the image; whether it can come, and last, is the test's to say.
class ScriptedAbsent final : public AbsentBlocks {
 public:
  bool is_there(std::uint64_t, std::uint64_t) const noexcept override { return there; }
  void bring(std::uint64_t, std::uint64_t) override {
    if (fails) throw Error("the source has gone");
    there = true;
  }
  std::optional<std::uint64_t> next_absent(std::uint64_t offset) const noexcept override {
    return there ? std::nullopt : std::optional(offset);
  }
  std::uint64_t bytes_left() const noexcept override { return there ? 0 : kDisk; }
  bool becomes_whole() const noexcept override { return true; }
  void make_lasting() override { on_make_lasting(); }
  void start(Steps) override {}
  void finish() override {}
  void go_on() noexcept override {}
  std::string problem() const override { return fails ? "the source has gone" : ""; }
  void stop() noexcept override {}

  std::atomic<bool> there = false, fails = false;
  std::function<void()> on_make_lasting = [] {};
};

struct IncompleteDisk {
  IncompleteDisk() {
    DiskOptions options = options_for(image);
    options.absent = absent;
    disk = std::make_unique<VirtualDisk>(options);
  }
  bool has_log() const { return std::filesystem::exists(directory.path() / "disk.img.0001.redo"); }

  TempDir directory;
  std::filesystem::path image = directory.image(kDisk);
  std::shared_ptr<ScriptedAbsent> absent = std::make_shared<ScriptedAbsent>();
  std::unique_ptr<VirtualDisk> disk;
};

void await_stop(const VirtualDisk& disk) {
  while (disk.stopped_by() == 0) std::this_thread::yield();
}

}  // namespace

TEST_CASE(
    "a flush of a disk that is being restored is answered when its image lasts, and then its log, and not before") {
  IncompleteDisk fixture;
  DiskDriver driver(*fixture.disk);
  CHECK(driver.fill(0, 4096, 7) == 0);
  CHECK_FALSE(fixture.has_log());
  bool lasts = false;
  fixture.absent->on_make_lasting = [&] {
    CHECK_FALSE(fixture.has_log());
    lasts = true;
  };
  CHECK(driver.flush() == 0);
  CHECK(lasts);
  CHECK(fixture.has_log());
  CHECK(driver.holds(0, 4096, 7));
}

TEST_CASE("a flush of a disk that is being restored waits where its image cannot last, and is answered when it can") {
  IncompleteDisk fixture;
  DiskDriver driver(*fixture.disk);
  CHECK(driver.fill(0, 4096, 7) == 0);
  std::atomic<bool> lasts = false;
  fixture.absent->on_make_lasting = [&] {
    if (!lasts) throw std::system_error(EIO, std::generic_category());
  };
  auto flush = std::async(std::launch::async, [&] { return driver.flush(); });
  await_stop(*fixture.disk);
  CHECK_FALSE(fixture.has_log());
  lasts = true;
  fixture.disk->go_on();
  CHECK(flush.get() == 0);
  CHECK(fixture.has_log());
}

TEST_CASE("nothing is built on the log of a disk that is being restored before it lasts") {
  IncompleteDisk fixture;
  fixture.disk->prepare_switch();
  CHECK(fixture.has_log());
  fixture.disk->cancel_switch();
  CHECK(fixture.has_log());
}

TEST_CASE("of a disk that was restored and never used no log is left") {
  IncompleteDisk fixture;
  fixture.disk->close();
  fixture.disk.reset();
  for (const auto& entry : std::filesystem::directory_iterator(fixture.directory.path()))
    CHECK(entry.path() == fixture.image);
}

TEST_CASE("a read that cannot come waits, whatever is to be done with errors, and comes when it is tried again") {
  IncompleteDisk fixture;
  DiskDriver driver(*fixture.disk);
  fixture.absent->fails = true;
  auto read = std::async(std::launch::async, [&] { return driver.holds(0, 4096, 0); });
  await_stop(*fixture.disk);
  CHECK(fixture.disk->trouble().find("the source has gone") != std::string::npos);
  fixture.disk->go_on();  // nothing has changed
  await_stop(*fixture.disk);
  fixture.absent->fails = false;
  fixture.disk->go_on();
  CHECK(read.get());
  CHECK(fixture.disk->trouble().empty());
}

TEST_CASE("a read that cannot come fails when nobody waits any more") {
  IncompleteDisk fixture;
  fixture.absent->fails = true;
  std::vector<std::byte> room(4096);
  BlockRequest request;
  int result = -1;
  request.segments.push_back({room.data(), room.size()});
  request.owner = &result;
  request.done = [](BlockRequest& done, int error_number) noexcept { *static_cast<int*>(done.owner) = error_number; };
  fixture.disk->submit(request);
  fixture.disk->kick();
  while (fixture.disk->stopped_by() == 0) fixture.disk->complete();
  CHECK(result == -1);
  fixture.disk->close();
  CHECK(result == EIO);
}

}  // namespace tintype
