// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include <sys/prctl.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <thread>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "devices/block/image_tools.h"
#include "devices/block/virtual_disk.h"
#include "tests/support/rounds.h"
#include "tests/support/skip.h"
#include "tests/unit/block/test_disk.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

constexpr std::uint32_t kKillSectors = 9'000;
using Clock = std::chrono::steady_clock;

/// What the child tells its parent, before a write is submitted and after it was acknowledged. Short enough
/// for write(2) to be atomic.
struct Message {
  std::uint32_t first = 0, count = 0;
  std::uint64_t number = 0;  ///< the top bit: acknowledged
};
constexpr std::uint64_t kAcknowledged = std::uint64_t{1} << 63;

// ---- The child: writes numbered sectors as fast as it can while another thread switches and commits all the
// time.

class Writer {
 public:
  Writer(VirtualDisk& disk, int pipe, std::uint64_t first_number, unsigned seed)
      : disk_(disk), pipe_(pipe), number_(first_number), random_(seed), busy_(kKillSectors, false) {}

  [[noreturn]] void run_until_killed() {
    for (;;) {
      while (in_flight_ < 12) submit_one();
      disk_.kick();
      pollfd waiting{disk_.completion_fd(), POLLIN, 0};
      ::poll(&waiting, 1, 100);
      disk_.complete();
    }
  }

 private:
  struct Job {
    BlockRequest request;
    Writer* writer = nullptr;
    Message message;
    std::vector<std::uint64_t> data;
  };

  std::uint32_t roll(std::uint32_t limit) {
    return std::uniform_int_distribution<std::uint32_t>(0, limit - 1)(random_);
  }

  void submit_one() {
    auto job = std::make_unique<Job>();
    job->writer = this;
    job->request.owner = job.get();
    job->request.done = finished;
    if (roll(30) == 0) {
      job->request.operation = BlockOperation::kFlush;
    } else if (!lay_out(*job)) {
      return;
    }
    ++in_flight_;
    disk_.submit(job.release()->request);
  }

  bool lay_out(Job& job) {
    Message& message = job.message;
    message.count = 1 + (roll(8) == 0 ? roll(200) : roll(16));
    message.first = roll(roll(3) == 0 ? 300 : kKillSectors - 300);
    for (std::uint32_t i = 0; i < message.count; ++i) {
      if (busy_[message.first + i]) return false;  // one write at a time to a sector, so that numbers in it only grow
    }
    for (std::uint32_t i = 0; i < message.count; ++i) busy_[message.first + i] = true;
    message.number = number_++;
    job.data.assign(std::size_t{message.count} * 64, message.number);
    job.request.operation = BlockOperation::kWrite;
    job.request.offset = std::uint64_t{message.first} * 512;
    job.request.segments.push_back({job.data.data(), job.data.size() * 8});
    tell(message);
    return true;
  }

  static void finished(BlockRequest& request, int error_number) noexcept {
    const std::unique_ptr<Job> job(static_cast<Job*>(request.owner));
    Writer& writer = *job->writer;
    --writer.in_flight_;
    if (error_number != 0) ::_exit(3);
    if (request.operation == BlockOperation::kFlush) return;
    for (std::uint32_t i = 0; i < job->message.count; ++i) writer.busy_[job->message.first + i] = false;
    job->message.number |= kAcknowledged;
    writer.tell(job->message);
  }

  void tell(const Message& message) {
    if (::write(pipe_, &message, sizeof message) != ssize_t{sizeof message}) ::_exit(4);
  }

  VirtualDisk& disk_;
  int pipe_;
  std::uint64_t number_;
  std::mt19937 random_;
  std::vector<bool> busy_;
  int in_flight_ = 0;
};

DiskOptions options_in(const std::filesystem::path& image, DiskMode mode) {
  DiskOptions options = options_for(image);
  options.mode = mode;
  return options;
}

void switch_and_commit_forever(VirtualDisk& disk, unsigned seed) {
  std::mt19937 random(seed);
  for (;;) {
    disk.prepare_switch();
    {
      auto frozen = disk.switch_to_fresh_log();  // (the device need not be frozen for what is tested here)
      frozen->wait_for_old_io(30'000);
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 4'000));
    }
    disk.start_commit();
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 6'000));
  }
}

[[noreturn]] void be_the_child(const DiskOptions& options, int pipe, std::uint64_t first_number, unsigned seed) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  try {
    DiskTuning tuning;
    tuning.engine = seed % 3 == 0 ? IoEngineKind::kThreads : IoEngineKind::kAuto;
    VirtualDisk disk(options, tuning);
    std::thread switcher([&] { switch_and_commit_forever(disk, seed); });
    Writer(disk, pipe, first_number, seed).run_until_killed();
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "the machine that is to be killed ended by itself: %s\n", failure.what());
    ::_exit(5);
  }
}

// ---- The parent: kills it, opens the disk, and looks for every acknowledged write.

class KillRounds {
 public:
  KillRounds(const std::filesystem::path& image, DiskMode mode)
      : options_(options_in(image, mode)), image_(image), acknowledged_(kKillSectors, 0), issued_(kKillSectors, 0) {}

  std::size_t writes = 0, left_over = 0;

  void run_round(unsigned seed) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd from_child(ends[0]);
    UniqueFd to_parent(ends[1]);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) be_the_child(options_, to_parent.get(), next_number_, seed);
    to_parent.reset();
    listen(from_child.get(), Clock::now() + std::chrono::milliseconds(20 + seed * 37 % 180));
    ::kill(child, SIGKILL);
    listen(from_child.get(), Clock::now() + std::chrono::seconds(30));  // to the end of what it said
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));  // it did not end by itself: no request failed
    for (const auto& entry : std::filesystem::directory_iterator(image_.parent_path())) {
      if (entry.path().extension() == ".redo") ++left_over;
    }
    if (seed % 4 == 0) kill_a_recovery(seed);
    for (const ImageDefect& defect : check_image(image_, {}, false)) FAIL_CHECK(defect.what);
    verify();
  }

  /// What an undoable disk kept is put into the image, which was not touched until then.
  void commit() {
    std::ifstream image(image_, std::ios::binary);
    CHECK(std::all_of(std::istreambuf_iterator<char>(image), {}, [](char byte) { return byte == 0; }));
    commit_image(image_, {});
    options_.mode = DiskMode::kPersistent;
    verify();
  }

 private:
  void listen(int fd, Clock::time_point until) {
    Message message;
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
      if (left <= 0) return;
      pollfd waiting{fd, POLLIN, 0};
      if (::poll(&waiting, 1, static_cast<int>(left)) <= 0) return;
      if (::read(fd, &message, sizeof message) != ssize_t{sizeof message}) return;
      hear(message);
    }
  }

  void hear(const Message& message) {
    const bool acknowledged = (message.number & kAcknowledged) != 0;
    const std::uint64_t number = message.number & ~kAcknowledged;
    next_number_ = std::max(next_number_, number + 1);
    if (acknowledged) ++writes;
    for (std::uint32_t i = 0; i < message.count; ++i) {
      (acknowledged ? acknowledged_ : issued_)[message.first + i] = number;
    }
  }

  /// Kills a second process in the middle of opening the disk.
  void kill_a_recovery(unsigned seed) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      try {
        VirtualDisk disk(options_);
        ::_exit(0);
      } catch (...) {
        ::_exit(5);
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(seed * 733 % 12'000));
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK((WIFSIGNALED(status) || WEXITSTATUS(status) == 0));
  }

  void verify() {
    const auto disk = std::make_unique<VirtualDisk>(options_);
    if (options_.mode == DiskMode::kPersistent) CHECK(disk->log_count() == 0);
    std::vector<std::uint64_t> data(std::size_t{kKillSectors} * 64);
    REQUIRE(DiskDriver(*disk).read(0, std::as_writable_bytes(std::span(data))) == 0);
    for (std::uint32_t sector = 0; sector < kKillSectors; ++sector)
      verify_sector(sector, std::span(data).subspan(std::size_t{sector} * 64, 64));
    disk->close();
  }

  void verify_sector(std::uint32_t sector, std::span<const std::uint64_t> words) {
    const std::uint64_t seen = words[0];
    bool fine = seen >= acknowledged_[sector] && seen <= std::max(acknowledged_[sector], issued_[sector]);
    for (const std::uint64_t word : words) fine = fine && word == seen;
    if (!fine) {
      FAIL_CHECK(fmt::format("sector {} holds write {}, but {} was acknowledged and {} issued last", sector, seen,
                             acknowledged_[sector], issued_[sector]));
    }
    acknowledged_[sector] = issued_[sector] = seen;
  }

  DiskOptions options_;
  const std::filesystem::path image_;
  std::vector<std::uint64_t> acknowledged_, issued_;
  std::uint64_t next_number_ = 1;
};

void kill_again_and_again(const TempDir& directory, unsigned first, unsigned count,
                          DiskMode mode = DiskMode::kPersistent) {
  KillRounds test(directory.image(std::uint64_t{kKillSectors} * 512), mode);
  for (unsigned seed = first; seed < first + count; ++seed) {
    CAPTURE(seed);
    test.run_round(seed);
  }
  if (mode == DiskMode::kUndoable) test.commit();
  CHECK(test.writes > count * 10);
  CHECK(test.left_over > count / 4);
  MESSAGE(count, " machines killed, ", test.writes, " acknowledged writes found, ", test.left_over, " logs left over");
}

}  // namespace

TEST_CASE("killed at any instant, the disk holds every acknowledged write (a file system on a disk)") {
  const TempDir directory;
  kill_again_and_again(directory, 1, rounds_of("TINTYPE_KILL_ROUNDS", 40));
}

TEST_CASE("killed at any instant, the disk holds every acknowledged write (a file system in memory)") {
  if (!std::filesystem::exists("/dev/shm")) SKIP_TEST("there is no /dev/shm");
  const TempDir directory("/dev/shm");
  kill_again_and_again(directory, 1001, rounds_of("TINTYPE_KILL_ROUNDS", 60));
}

TEST_CASE("killed at any instant, an undoable disk holds every acknowledged write, and its image none of them") {
  const TempDir directory(std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path());
  kill_again_and_again(directory, 2001, rounds_of("TINTYPE_KILL_ROUNDS", 40), DiskMode::kUndoable);
}

}  // namespace tintype
