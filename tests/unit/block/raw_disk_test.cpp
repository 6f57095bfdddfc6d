// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <thread>

#include <doctest/doctest.h>

#include "devices/block/raw_file.h"
#include "tests/support/skip.h"
#include "tests/unit/block/test_disk.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

/// All of it comes while somebody asks what is absent.
class ComesMeanwhile final : public AbsentBlocks {
 public:
  explicit ComesMeanwhile(std::filesystem::path image) : image_(std::move(image)) {}
  bool is_there(std::uint64_t, std::uint64_t) const noexcept override { return came_; }
  void bring(std::uint64_t, std::uint64_t) override { come(); }
  std::optional<std::uint64_t> next_absent(std::uint64_t) const noexcept override {
    come();
    return std::nullopt;
  }
  std::uint64_t bytes_left() const noexcept override { return came_ ? 0 : 4096; }
  bool becomes_whole() const noexcept override { return false; }
  void make_lasting() override {}
  void start(Steps) override {}
  void finish() override {}
  void go_on() noexcept override {}
  std::string problem() const override { return {}; }
  void stop() noexcept override {}

 private:
  void come() const {
    const std::vector<std::byte> data(4096, std::byte{0x11});
    write_exactly(open_file(image_, O_WRONLY).get(), data, 8192, image_.string());
    came_ = true;
  }

  std::filesystem::path image_;
  mutable bool came_ = false;
};

}  // namespace

TEST_CASE("what comes into an image while somebody asks where there is data is not passed over") {
  const TempDir directory;
  const auto image = directory.image(1 << 20);
  const auto file = RawFile::open(image, false, std::make_shared<ComesMeanwhile>(image));
  const auto data = file->next_data(0);
  REQUIRE(data.has_value());
  CHECK(data->offset <= 8192);
}

TEST_CASE("what was written is read back, and lies in the image") {
  for (const IoEngineKind kind : {IoEngineKind::kRing, IoEngineKind::kThreads}) {
    const TempDir directory;
    const auto image = directory.image(1 << 20);
    {
      VirtualDisk disk(options_for(image), DiskTuning{kind});
      DiskDriver driver(disk);
      CHECK(disk.size() == 1 << 20);
      CHECK(disk.serial() == "disk0");
      CHECK(driver.fill(4096, 8192, 0x5a) == 0);
      CHECK(driver.fill((1 << 20) - 512, 512, 0x77) == 0);
      CHECK(driver.flush() == 0);
      CHECK(driver.holds(4096, 8192, 0x5a));
      CHECK(driver.holds(0, 4096, 0));
      disk.close();
    }
    VirtualDisk again(options_for(image, true), DiskTuning{kind});
    DiskDriver driver(again);
    CHECK(driver.holds(4096, 8192, 0x5a));
    CHECK(driver.holds((1 << 20) - 512, 512, 0x77));
    CHECK(driver.fill(0, 512, 1) == EROFS);
  }
}

namespace {

/// From now on io_uring_setup fails on this thread.
bool forbid_io_uring() {
  const auto call = static_cast<std::uint32_t>(offsetof(seccomp_data, nr));
  std::array<sock_filter, 4> program{sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, call),
                                     sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
                                     sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                                     sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog filter{program.size(), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

}  // namespace

TEST_CASE("where io_uring is not permitted, threads do the host I/O, unless it is asked for by name") {
  const TempDir directory;
  const auto image = directory.image(1 << 20);
  bool forbidden = false, wrote = false, refused = false;
  std::string engine;
  std::thread([&] {
    forbidden = forbid_io_uring();
    if (!forbidden) return;
    engine = make_io_engine(IoEngineKind::kAuto)->name();
    VirtualDisk disk(options_for(image));
    wrote = DiskDriver(disk).fill(4096, 8192, 0x5a) == 0;
    try {
      make_io_engine(IoEngineKind::kRing);
    } catch (const std::system_error& error) {
      refused = error.code().value() == EPERM;
    }
    disk.close();
  }).join();
  if (!forbidden) SKIP_TEST("no seccomp filters here");
  CHECK(engine == "threads");
  CHECK(wrote);
  CHECK(refused);
  CHECK(TestDisk(image).driver->holds(4096, 8192, 0x5a));
}

TEST_CASE("a disk that is looked at answers without its bell, which rings for whoever sleeps") {
  for (const IoEngineKind kind : {IoEngineKind::kRing, IoEngineKind::kThreads}) {
    const TempDir directory;
    VirtualDisk disk(options_for(directory.image(1 << 20)), DiskTuning{kind});
    CHECK(!disk.poll());
    PendingRequest request(disk, BlockOperation::kWrite, 4096, 4096, 0x5a);
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (request.result() < 0 && std::chrono::steady_clock::now() < limit) disk.poll();
    CHECK(request.result() == 0);
    CHECK(!disk.poll());
    pollfd bell{disk.completion_fd(), POLLIN, 0};
    CHECK(::poll(&bell, 1, 10'000) == 1);
    disk.complete();
    CHECK(DiskDriver(disk).holds(4096, 4096, 0x5a));
  }
}

TEST_CASE("bad images are refused with a sentence that names them") {
  const TempDir directory;
  const auto missing = directory.path() / "missing.img";
  CHECK(mentions(open_error(options_for(missing)), "there is no disk image " + missing.string()));
  const auto empty = directory.image(0, "empty.img");
  CHECK(mentions(open_error(options_for(empty)), "is empty"));
  const auto odd = directory.image(1000, "odd.img");
  CHECK(mentions(open_error(options_for(odd)), "not a multiple of 512"));
  CHECK(mentions(open_error(options_for(directory.path())), "is a directory"));
  CHECK(mentions(open_error(options_for(directory.path(), true)), "neither a regular file nor a block device"));
  const auto fifo = directory.path() / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(mentions(open_error(options_for(fifo)), "neither a regular file nor a block device"));
  DiskOptions undoable = options_for(directory.image(4096));
}

TEST_CASE("two machines never write to one image") {
  const TempDir directory;
  const auto image = directory.image(4096);
  const auto first = std::make_unique<VirtualDisk>(options_for(image));
  CHECK(mentions(open_error(options_for(image)), "in use by another machine"));
  CHECK(mentions(open_error(options_for(image, true)), "in use by another machine"));
}

TEST_CASE("readers share an image and keep a writer out") {
  const TempDir directory;
  const auto image = directory.image(4096);
  {
    const auto first = std::make_unique<VirtualDisk>(options_for(image, true));
    const auto second = std::make_unique<VirtualDisk>(options_for(image, true));
    CHECK(mentions(open_error(options_for(image)), "in use by another machine"));
  }
  CHECK(open_error(options_for(image)).empty());
}

}  // namespace tintype
