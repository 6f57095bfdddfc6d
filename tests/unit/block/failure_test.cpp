// SPDX-License-Identifier: Apache-2.0
#include <sys/mount.h>

#include <atomic>
#include <cstring>

#include <doctest/doctest.h>

#include "tests/support/skip.h"
#include "tests/unit/block/test_disk.h"

namespace tintype {
namespace {

/// A small file system in memory, where we are allowed to mount one.
class SmallFileSystem {
 public:
  explicit SmallFileSystem(const char* size) {
    mounted_ = ::mount("none", directory_.path().c_str(), "tmpfs", 0, (std::string("size=") + size).c_str()) == 0;
  }
  ~SmallFileSystem() {
    if (mounted_) ::umount2(directory_.path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  const std::filesystem::path& path() const { return directory_.path(); }

 private:
  TempDir directory_;
  bool mounted_ = false;
};

bool is_log(const HostIo& io) { return layer_of(io).extension() == ".redo"; }
bool is_record(const HostIo& io) {
  return is_log(io) && io.kind == HostIo::Kind::kWrite && io.segments[0].iov_len % 512 != 0;
}

}  // namespace

TEST_CASE("a flush syncs every layer that holds unflushed writes, and no other") {
  const TempDir directory;
  ScriptedDisk test(directory.image(1 << 20));
  CHECK(test.driver->flush() == 0);
  CHECK(test.io->syncs == 0);
  CHECK(test.driver->fill(0, 4096, 0x11) == 0);
  auto first = test.freeze();
  CHECK(test.driver->fill(4096, 4096, 0x22) == 0);
  auto second = test.freeze();
  CHECK(test.driver->fill(8192, 4096, 0x33) == 0);
  std::vector<std::string> synced;
  test.io->fail = [&](const HostIo& io) {
    if (io.kind == HostIo::Kind::kSync) synced.push_back(layer_of(io).filename());
    return 0;
  };
  CHECK(test.driver->flush() == 0);
  // Each log twice: for what it holds, and for the flush point that says so.
  CHECK(synced == std::vector<std::string>{"disk.img", "disk.img.0001.redo", "disk.img.0002.redo", "disk.img.0001.redo",
                                           "disk.img.0002.redo"});
  synced.clear();
  CHECK(test.driver->flush() == 0);
  CHECK(synced.empty());
  CHECK(test.driver->fill(8192, 512, 0x44) == 0);
  CHECK(test.driver->flush() == 0);
  CHECK(synced == std::vector<std::string>{"disk.img.0002.redo"});
}

TEST_CASE("a flush does not lean on the sync of another flush that has not ended") {
  const TempDir directory;
  ScriptedDisk test(directory.image(1 << 20));
  CHECK(test.driver->fill(0, 4096, 0x11) == 0);
  test.io->hold = [](const HostIo& io) { return io.kind == HostIo::Kind::kSync; };
  PendingRequest first(*test.disk, BlockOperation::kFlush);
  PendingRequest second(*test.disk, BlockOperation::kFlush);
  CHECK_FALSE(first.done());
  CHECK_FALSE(second.done());
  CHECK(test.io->held() == 2);
  CHECK(test.driver->holds(0, 4096, 0x11));  // and nothing else waits
  test.io->release_all();
  CHECK(first.done());
  CHECK(second.done());
}

TEST_CASE("lost data that one of two flushes is told of fails the other one too, which was told that all is well") {
  const TempDir directory;
  ScriptedDisk test(directory.image(1 << 20));
  CHECK(test.driver->fill(0, 4096, 0x11) == 0);
  test.io->hold = [](const HostIo& io) { return io.kind == HostIo::Kind::kSync; };
  PendingRequest first(*test.disk, BlockOperation::kFlush);
  PendingRequest second(*test.disk, BlockOperation::kFlush);
  test.io->release(1);
  CHECK_FALSE(second.done());  // the host may have told the first one more
  test.io->fail = [](const HostIo&) { return EIO; };
  test.io->release(0);
  CHECK(first.done());
  CHECK(second.done());
  CHECK(first.result() == EIO);
  CHECK(second.result() == EIO);
}

TEST_CASE("lost data that the committing thread is told of fails a flush of the guest that is under way") {
  const TempDir directory;
  ScriptedDisk test(directory.image(1 << 20));
  std::atomic<int> base_fails = 0;
  test.io->fail = [&](const HostIo& io) { return layer_of(io).filename() == "disk.img" ? base_fails.load() : 0; };
  auto frozen = test.freeze();
  CHECK(test.driver->fill(0, 4096, 0x11) == 0);
  frozen.reset();
  test.io->hold = [](const HostIo& io) {
    return io.kind == HostIo::Kind::kSync && layer_of(io).filename() == "disk.img";
  };
  std::promise<std::string> committed;
  test.disk->start_commit([&](const std::string& error) { committed.set_value(error); });
  const auto wait_for_held = [&](std::size_t count) {
    for (int i = 0; i < 10'000 && test.io->held() < count; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    REQUIRE(test.io->held() == count);
  };
  wait_for_held(1);
  PendingRequest flush(*test.disk, BlockOperation::kFlush);
  CHECK_FALSE(flush.done());
  wait_for_held(2);
  test.io->release(1);
  CHECK_FALSE(flush.done());
  base_fails = EIO;
  test.io->release(0);
  CHECK(mentions(committed.get_future().get(), "fdatasync"));
  CHECK(flush.done());
  CHECK(flush.result() == EIO);
  CHECK(test.disk->log_count() == 1);
}

TEST_CASE("once the host has lost data in a sync, no later flush says that all is well") {
  const TempDir directory;
  ScriptedDisk test(directory.image(1 << 20));
  CHECK(test.driver->fill(0, 4096, 0x11) == 0);
  test.io->fail = [](const HostIo& io) { return io.kind == HostIo::Kind::kSync ? EIO : 0; };
  CHECK(test.driver->flush() == EIO);
  test.io->fail = nullptr;
  CHECK(test.driver->flush() == EIO);
}

namespace {

/// Waits until the request is answered, at most some seconds.
bool answered(PendingRequest& request) {
  for (int i = 0; i < 500 && !request.done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return request.done();
}

}  // namespace

TEST_CASE("a write that finds no room in the log waits until there is some, and nothing else does") {
  const TempDir directory;
  const auto image = directory.image(1 << 20);
  {
    ScriptedDisk test(image);
    CHECK(test.driver->fill(0, 16384, 0x11) == 0);
    auto frozen = test.freeze();
    CHECK(test.driver->fill(4096, 4096, 0x22) == 0);
    std::uint64_t offset = 8192;
    for (const auto& full :
         {std::function<bool(const HostIo&)>(is_log), std::function<bool(const HostIo&)>(is_record)}) {
      test.io->fail = [&](const HostIo& io) { return io.kind == HostIo::Kind::kWrite && full(io) ? ENOSPC : 0; };
      PendingRequest write(*test.disk, BlockOperation::kWrite, offset, 4096, 0x44);
      CHECK_FALSE(write.done());
      CHECK(test.disk->waits_for_room());
      CHECK(test.driver->holds(offset, 4096, 0x11));
      CHECK(test.driver->holds(4096, 4096, 0x22));
      test.io->fail = nullptr;
      CHECK(answered(write));
      CHECK(write.result() == 0);
      CHECK_FALSE(test.disk->waits_for_room());
      CHECK(test.driver->holds(offset, 4096, 0x44));
      offset += 4096;
    }
  }
  TestDisk again(image);
  CHECK(again.driver->holds(0, 4096, 0x11));
  CHECK(again.driver->holds(4096, 4096, 0x22));
  CHECK(again.driver->holds(8192, 8192, 0x44));
}

TEST_CASE("a flush that finds no room for its flush point waits until there is some") {
  const TempDir directory;
  ScriptedDisk test(directory.image(1 << 20));
  auto frozen = test.freeze();
  CHECK(test.driver->fill(0, 4096, 0x11) == 0);
  test.io->fail = [](const HostIo& io) { return io.kind == HostIo::Kind::kWrite ? ENOSPC : 0; };
  PendingRequest flush(*test.disk, BlockOperation::kFlush);
  CHECK_FALSE(flush.done());
  test.io->fail = nullptr;
  CHECK(answered(flush));
  CHECK(flush.result() == 0);
}

TEST_CASE("committing needs no room for the log, and gives room to what waits") {
  const TempDir directory;
  ScriptedDisk test(directory.image(1 << 20));
  auto frozen = test.freeze();
  CHECK(test.driver->fill(0, 4096, 0x11) == 0);
  test.io->fail = [](const HostIo& io) { return io.kind == HostIo::Kind::kWrite && is_log(io) ? ENOSPC : 0; };
  PendingRequest write(*test.disk, BlockOperation::kWrite, 0, 8192, 0x22);
  PendingRequest flush(*test.disk, BlockOperation::kFlush);
  CHECK_FALSE(write.done());
  CHECK_FALSE(flush.done());
  frozen->wait_for_old_io(1'000);
  frozen.reset();  // nobody asks for a commit: what waits does
  CHECK(answered(write));
  CHECK(write.result() == 0);
  CHECK(answered(flush));
  CHECK(flush.result() == 0);
  CHECK(test.driver->holds(0, 8192, 0x22));
  CHECK(test.disk->log_count() == 0);
}

TEST_CASE("a machine that ends does not wait for room") {
  const TempDir directory;
  ScriptedDisk test(directory.image(1 << 20));
  auto frozen = test.freeze();
  test.io->fail = [](const HostIo& io) { return io.kind == HostIo::Kind::kWrite && is_log(io) ? ENOSPC : 0; };
  PendingRequest write(*test.disk, BlockOperation::kWrite, 0, 8192, 0x22);
  CHECK_FALSE(write.done());
  frozen.reset();
  test.disk->close();
  CHECK(write.done());
  // Unless the commit was quicker that nothing holds up any more: it makes room.
  CHECK((write.result() == ENOSPC || write.result() == 0));
}

namespace {

DiskOptions on_full_logs(const std::filesystem::path& image, DiskMode mode, OnDiskError on_error) {
  DiskOptions options = options_for(image);
  options.mode = mode;
  options.behaviour.on_error = on_error;
  return options;
}

int no_room_in_log(const HostIo& io) { return io.kind == HostIo::Kind::kWrite && is_log(io) ? ENOSPC : 0; }

}  // namespace

TEST_CASE("where the logs stay, a full file system of theirs stops the machine, which goes on when there is room") {
  for (const DiskMode mode : {DiskMode::kUndoable, DiskMode::kNonpersistent}) {
    const TempDir directory;
    ScriptedDisk test(on_full_logs(directory.image(1 << 20), mode, OnDiskError::kPause));
    CHECK(test.driver->fill(0, 4096, 0x11) == 0);
    int stops = 0;
    test.disk->set_on_stop([&] { ++stops; });
    // A log without a name cannot be told from others by it.
    test.io->fail = [](const HostIo& io) { return io.kind == HostIo::Kind::kWrite ? ENOSPC : 0; };
    PendingRequest write(*test.disk, BlockOperation::kWrite, 8192, 4096, 0x22);
    PendingRequest flush(*test.disk, BlockOperation::kFlush);
    CHECK_FALSE(write.done());
    CHECK(flush.done() == (mode == DiskMode::kNonpersistent));  // which has nothing to flush
    CHECK(stops == 1);
    CHECK(test.disk->stopped_by() == ENOSPC);
    CHECK(mentions(test.disk->trouble(), "no room for its redo log in " + directory.path().string()));
    CHECK_FALSE(test.disk->waits_for_room());
    auto frozen = test.freeze();  // nothing is lost: there may be a checkpoint
    frozen.reset();
    test.disk->go_on();  // too early
    CHECK_FALSE(write.done());
    CHECK(test.disk->stopped_by() == ENOSPC);
    test.io->fail = nullptr;
    test.disk->go_on();
    CHECK(answered(write));
    CHECK(answered(flush));
    CHECK(write.result() == 0);
    CHECK(flush.result() == 0);
    CHECK(test.disk->stopped_by() == 0);
    CHECK(test.driver->holds(8192, 4096, 0x22));
  }
}

TEST_CASE("where the logs stay, and errors are reported, a full file system of theirs is one") {
  for (const DiskMode mode : {DiskMode::kUndoable, DiskMode::kNonpersistent}) {
    const TempDir directory;
    ScriptedDisk test(on_full_logs(directory.image(1 << 20), mode, OnDiskError::kReport));
    test.io->fail = [](const HostIo& io) { return io.kind == HostIo::Kind::kWrite ? ENOSPC : 0; };
    PendingRequest write(*test.disk, BlockOperation::kWrite, 8192, 4096, 0x22);
    CHECK(answered(write));
    CHECK(write.result() == ENOSPC);
    test.io->fail = nullptr;
    CHECK(test.driver->fill(8192, 4096, 0x22) == 0);
  }
}

TEST_CASE("where committing fails it makes no room: the machine stops, and goes on when there is some for that") {
  const TempDir directory;
  ScriptedDisk test(on_full_logs(directory.image(1 << 20), DiskMode::kPersistent, OnDiskError::kPause));
  auto frozen = test.freeze();
  CHECK(test.driver->fill(0, 4096, 0x11) == 0);
  std::atomic<bool> lost = true;
  test.io->fail = [&](const HostIo& io) {
    if (io.kind == HostIo::Kind::kSync) return lost ? EIO : 0;  // the commit's
    return no_room_in_log(io);
  };
  PendingRequest write(*test.disk, BlockOperation::kWrite, 8192, 4096, 0x22);
  CHECK_FALSE(write.done());
  CHECK(test.disk->waits_for_room());  // it may come from the commit, when the frozen disk is gone
  frozen.reset();
  for (int i = 0; i < 500 && test.disk->stopped_by() == 0; ++i) {
    test.disk->complete();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  CHECK(test.disk->stopped_by() == ENOSPC);
  CHECK_FALSE(write.done());
  test.io->fail = nullptr;
  test.disk->go_on();
  CHECK(answered(write));
  CHECK(write.result() == 0);
}

TEST_CASE("a large request over a fragmented log is planned in parts of bounded size") {
  const TempDir directory;
  constexpr std::uint64_t kSize = 8 << 20;
  ScriptedDisk test(directory.image(kSize));
  auto frozen = test.freeze();
  for (std::uint64_t at = 0; at < kSize; at += 1024) REQUIRE(test.driver->fill(at, 512, 0x22) == 0);
  test.hold_all();
  PendingRequest read(*test.disk, BlockOperation::kRead, 0, kSize);
  PendingRequest write(*test.disk, BlockOperation::kWrite, 0, kSize, 0x33);
  CHECK_FALSE(read.done());
  CHECK(test.io->held() <= 2 * 1024);  // not the 32768 pieces of both
  test.io->release_all();
  CHECK(answered(read));
  CHECK(answered(write));
  CHECK(read.result() == 0);
  CHECK(test.driver->holds(0, kSize, 0x33));
}

TEST_CASE("a record that was reported as failed but lies in the file counts") {
  const TempDir directory;
  const auto image = directory.image(1 << 20);
  ScriptedDisk test(image);
  auto frozen = test.freeze();
  test.io->fail = [](const HostIo& io) {
    if (!is_record(io)) return 0;
    auto& record = const_cast<HostIo&>(io);
    REQUIRE(::pwritev(io.fd, record.remaining(), static_cast<int>(record.remaining_count()),
                      static_cast<off_t>(io.offset)) > 0);
    return EIO;
  };
  CHECK(test.driver->fill(0, 4096, 0x11) == 0);
  CHECK(test.driver->holds(0, 4096, 0x11));
}

TEST_CASE("the file system of the logs fills up, and no write of the guest fails") {
  const SmallFileSystem small("1m");
  if (!small.mounted()) SKIP_TEST("mounting a small file system needs root");
  const TempDir directory;
  const auto image = directory.image(8 << 20);
  TestDisk test(image, small.path());
  CHECK(test.driver->fill(0, 8 << 20, 0x11) == 0);
  auto frozen = test.freeze();
  std::vector<std::unique_ptr<PendingRequest>> writes;
  for (std::uint64_t i = 0; i < 512; ++i)
    writes.push_back(std::make_unique<PendingRequest>(*test.disk, BlockOperation::kWrite, i * 16384, 16384, 0x22));
  for (int i = 0; i < 100 && !test.disk->waits_for_room(); ++i) {
    test.disk->complete();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  CHECK(test.disk->waits_for_room());
  CHECK(frozen_holds(*frozen, 0, 8 << 20, 0x11));
  frozen.reset();
  test.disk->start_commit();
  for (const auto& write : writes) {
    REQUIRE(answered(*write));
    CHECK(write->result() == 0);
  }
  CHECK(test.driver->flush() == 0);
  CHECK(test.driver->holds(0, 8 << 20, 0x22));
  test.abandon();
  TestDisk again(image, small.path());
  CHECK(again.driver->holds(0, 8 << 20, 0x22));
}

TEST_CASE("committing to a full file system keeps the logs, and ends well once there is room") {
  const SmallFileSystem small("1m");
  if (!small.mounted()) SKIP_TEST("mounting a small file system needs root");
  const TempDir logs;
  const auto image = small.path() / "disk.img";
  std::ofstream(image).flush();
  std::filesystem::resize_file(image, 8 << 20);  // sparse: there is no room for so much
  TestDisk test(image, logs.path());
  auto frozen = test.freeze();
  CHECK(test.driver->fill(0, 4 << 20, 0x11) == 0);
  auto second = test.freeze();
  CHECK(test.driver->fill(2 << 20, 4 << 20, 0x22) == 0);
  frozen.reset();
  second.reset();
  for (int i = 0; i < 2; ++i) {
    CHECK(mentions(test.commit(), "No space left on device"));
    CHECK(test.disk->log_count() == 2);
    CHECK(test.driver->holds(0, 2 << 20, 0x11));
    CHECK(test.driver->holds(2 << 20, 4 << 20, 0x22));
    CHECK(test.driver->fill(0, 512, 0x11) == 0);
  }
  try {
    test.disk->close();
    FAIL("close() does not say that the log could not be committed");
  } catch (const Error& error) {
    CHECK(mentions(error.what(), "it is kept"));
  }
  test.abandon();
  CHECK(mentions(open_error(options_for(image)), "make room"));
  REQUIRE(::mount("none", small.path().c_str(), "tmpfs", MS_REMOUNT, "size=64m") == 0);
  TestDisk again(image, logs.path());
  CHECK(again.disk->log_count() == 0);
  CHECK(again.driver->holds(0, 2 << 20, 0x11));
  CHECK(again.driver->holds(2 << 20, 4 << 20, 0x22));
}

TEST_CASE("a log that cannot be made leaves the disk as it was, and says where it was to lie") {
  const TempDir directory;
  TestDisk test(directory.image(1 << 20), directory.path() / "nowhere");
  CHECK(test.driver->fill(0, 4096, 0x11) == 0);
  try {
    test.disk->prepare_switch();
    FAIL("a log was made in a directory that does not exist");
  } catch (const Error& error) {
    CHECK(mentions(error.what(), "nowhere"));
    CHECK(mentions(error.what(), "--disk-dir"));
  }
  CHECK(test.disk->log_count() == 0);
  CHECK(test.driver->holds(0, 4096, 0x11));
  test.disk->close();
}

}  // namespace tintype
