// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>

#include <doctest/doctest.h>

#include "devices/block/image_tools.h"
#include "devices/block/virtual_disk.h"
#include "tests/support/rounds.h"
#include "tests/unit/block/disk_model.h"
#include "tests/unit/block/seed.h"
#include "tests/unit/block/temp_dir.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

constexpr std::uint64_t kSectors = 12'000;  ///< nearly three groups of a log

/// A guest that reads, writes, discards and flushes at random, many requests at a time, and compares all it sees with
/// the model.
class RandomGuest {
 public:
  RandomGuest(VirtualDisk& disk, DiskModel& model, unsigned seed) : disk_(disk), model_(model), random_(seed) {}

  std::string error;  ///< the first thing that went wrong
  std::uint64_t requests = 0;

  std::uint64_t roll(std::uint64_t limit) {
    return std::uniform_int_distribution<std::uint64_t>(0, limit - 1)(random_);
  }

  void submit_one() {
    auto job = std::make_unique<Job>();
    job->guest = this;
    job->request.owner = job.get();
    job->request.done = finished;
    const std::uint64_t kind = roll(20);
    job->request.operation = kind == 0   ? BlockOperation::kFlush
                             : kind < 9  ? BlockOperation::kRead
                             : kind < 16 ? BlockOperation::kWrite
                                         : BlockOperation::kZero;
    if (job->request.operation != BlockOperation::kFlush) lay_out(*job);
    job->begun = model_.now();
    const bool zeros = job->request.operation == BlockOperation::kZero;
    if (zeros || job->request.operation == BlockOperation::kWrite) job->tag = model_.begin_write(job->range, zeros);
    if (job->request.operation == BlockOperation::kWrite) DiskModel::fill(job->data, job->tag, job->range.start);
    ++in_flight_;
    ++requests;
    disk_.submit(job.release()->request);
  }

  void complete(int wait_ms) {
    disk_.kick();
    pollfd waiting{disk_.completion_fd(), POLLIN, 0};
    ::poll(&waiting, 1, wait_ms);
    disk_.complete();
  }

  void run(int requests, std::size_t depth) {
    while (requests > 0 && error.empty()) {
      const std::size_t limit = 1 + roll(depth);
      while (in_flight_ < limit && requests-- > 0) submit_one();
      complete(static_cast<int>(roll(2)));
    }
  }

  /// What the whole disk shows.
  void read_all() {
    for (std::uint64_t start = 0; start < kSectors; start += 1000) {
      auto job = std::make_unique<Job>();
      job->range = {start, start + 1000};
      submit_read(std::move(job));
    }
    finish_all();
  }
  void finish_all() {
    for (int i = 0; i < 30'000 && in_flight_ > 0; ++i) complete(1);
    if (in_flight_ > 0) error = "requests never finish";
  }

 private:
  struct Job {
    BlockRequest request;
    RandomGuest* guest = nullptr;
    SectorRange range;
    std::vector<std::byte> data;
    DiskModel::Tag tag = 0;
    DiskModel::Time begun = 0;
  };

  void submit_read(std::unique_ptr<Job> job) {
    job->guest = this;
    job->request.owner = job.get();
    job->request.done = finished;
    job->data.resize(job->range.count() * 512);
    job->request.offset = job->range.start * 512;
    job->request.segments.push_back({job->data.data(), job->data.size()});
    job->begun = model_.now();
    ++in_flight_;
    disk_.submit(job.release()->request);
  }
  void lay_out(Job& job) {
    const std::uint64_t count = 1 + (roll(4) == 0 ? roll(300) : roll(16));
    const std::uint64_t room = roll(3) == 0 ? 200 : kSectors - 400;  // a third of it goes to a few hot sectors
    job.range.start = roll(room);
    job.range.end = job.range.start + count;
    job.request.offset = job.range.start * 512;
    if (job.request.operation == BlockOperation::kZero) {
      job.request.length = count * 512;
      job.request.may_unmap = roll(3) != 0;
      return;
    }
    job.data.resize(count * 512);
    for (std::size_t at = 0; at < job.data.size();) {  // in a few segments of odd lengths
      const std::size_t length = std::min<std::size_t>(job.data.size() - at, 1 + roll(job.data.size()));
      job.request.segments.push_back({job.data.data() + at, length});
      at += length;
    }
  }

  static void finished(BlockRequest& request, int error_number) noexcept {
    std::unique_ptr<Job> job(static_cast<Job*>(request.owner));
    job->guest->check(*job, error_number);
  }

  void check(const Job& job, int error_number) {
    --in_flight_;
    if (error_number != 0 && error.empty()) error = fmt::format("a request failed with {}", error_number);
    const bool writes =
        job.request.operation == BlockOperation::kWrite || job.request.operation == BlockOperation::kZero;
    if (writes) model_.end_write(job.range, job.tag, error_number == 0);
    if (job.request.operation != BlockOperation::kRead || error_number != 0) return;
    const std::string wrong = model_.check_read(job.range, job.data, job.begun);
    if (error.empty()) error = wrong;
  }

  VirtualDisk& disk_;
  DiskModel& model_;
  std::mt19937_64 random_;
  std::size_t in_flight_ = 0;
};

/// Reads a frozen disk on a thread of its own and compares it with the model of that instant.
class FrozenChecker {
 public:
  FrozenChecker(std::unique_ptr<FrozenDisk> frozen, const DiskModel& model, VirtualDisk& disk)
      : thread_([this, frozen = std::move(frozen), model, &disk]() mutable { run(std::move(frozen), model, disk); }) {}
  ~FrozenChecker() { thread_.join(); }

  bool over() const { return over_; }
  std::string error() {
    while (!over_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return error_;
  }

 private:
  void run(std::unique_ptr<FrozenDisk> frozen, const DiskModel& model, VirtualDisk& disk) {
    try {
      frozen->wait_for_old_io(30'000);
      check_all(*frozen, model);
      frozen.reset();
      disk.start_commit([this](const std::string& error) {
        if (!error.empty()) commit_error = error;
      });
    } catch (const std::exception& failure) {
      error_ = failure.what();
    }
    over_ = true;
  }

  void check_all(FrozenDisk& frozen, const DiskModel& model) {
    std::vector<std::byte> copy(frozen.size());
    for (auto range = frozen.next_data(0); range; range = frozen.next_data(range->offset + range->length)) {
      frozen.read(range->offset, std::span(copy).subspan(range->offset, range->length));
    }
    error_ = model.check_frozen({0, kSectors}, copy);
    std::vector<std::byte> again(frozen.size());
    frozen.read(0, again);
    if (error_.empty() && copy != again) error_ = "the frozen disk has changed";
  }

  std::string error_;
  std::atomic<bool> over_{false};

 public:
  std::string commit_error;

 private:
  std::thread thread_;
};

std::vector<std::byte> contents_of(const std::filesystem::path& image) {
  std::vector<std::byte> data(std::filesystem::file_size(image));
  read_exactly(open_file(image, O_RDONLY).get(), data, 0, image.string());
  return data;
}

/// A disk under a random guest, switched and committed again and again, and now and then opened anew, as after a kill.
class RandomRun {
 public:
  RandomRun(IoEngineKind kind, unsigned seed, const std::filesystem::path& where, DiskMode mode)
      : seed_(seed),
        directory_(std::filesystem::exists(where) ? where : std::filesystem::temp_directory_path()),
        image_(directory_.image(kSectors * 512)),
        kept_(mode == DiskMode::kPersistent ? 0 : 1) {
    write_exactly(open_file(image_, O_WRONLY).get(), initial_, 0, image_.string());
    tuning_.engine = kind;
    options_.id = "disk0";
    options_.image = image_;
    options_.mode = mode;
    if (seed % 2 == 0) return;
    options_.log_directory = directory_.path() / "logs";
    std::filesystem::create_directory(options_.log_directory);
  }

  void run(unsigned rounds) {
    const bool reopens = options_.mode != DiskMode::kNonpersistent;
    for (unsigned left = rounds; left > 0;) {
      const unsigned now = reopens ? std::min(left, kRoundsUntilReopened) : left;
      left -= now;
      run_opened(now, left == 0);
    }
    if (kAllRounds) CHECK(deepest_ >= 2);
    if (kAllRounds) CHECK(emptied_ >= 1);
    check_what_is_left();
  }
  std::uint64_t requests() const { return requests_; }

 private:
  static constexpr unsigned kRoundsUntilReopened = 15;
  using Checkers = std::vector<std::unique_ptr<FrozenChecker>>;

  void run_opened(unsigned rounds, bool last) {
    Checkers checkers;  // told of commits until the disk is gone
    VirtualDisk disk(options_, tuning_);
    RandomGuest guest(disk, model_, seed_ + 1'000'000 * opened_++);
    for (unsigned round = 0; round < rounds && guest.error.empty(); ++round) run_round(disk, guest, checkers);
    guest.finish_all();
    for (const auto& checker : checkers) judge(*checker);
    guest.read_all();
    CHECK(guest.error == "");
    requests_ += guest.requests;
    if (last || opened_ % 2 == 0) disk.close();  // else what the logs hold is for the next time
    if (last && options_.mode == DiskMode::kPersistent) CHECK(disk.log_count() == 0);
  }

  void run_round(VirtualDisk& disk, RandomGuest& guest, Checkers& checkers) {
    guest.run(static_cast<int>(20 + guest.roll(200)), 24);
    disk.prepare_switch();
    guest.run(static_cast<int>(guest.roll(20)), 24);
    if (guest.roll(5) == 0) return disk.cancel_switch();
    checkers.push_back(std::make_unique<FrozenChecker>(disk.switch_to_fresh_log(), model_, disk));
    deepest_ = std::max(deepest_, disk.log_count());
    if (guest.roll(3) != 0) return;
    for (int i = 0; i < 2'000 && disk.log_count() > kept_ && guest.error.empty(); ++i) guest.run(5, 24);
    if (disk.log_count() == kept_) ++emptied_;
  }

  static void judge(FrozenChecker& checker) {
    CHECK(checker.error() == "");
    CHECK(checker.commit_error == "");
  }

  void check_what_is_left() {
    if (options_.mode != DiskMode::kPersistent) CHECK(contents_of(image_) == initial_);
    if (options_.mode == DiskMode::kNonpersistent) return;
    if (options_.mode == DiskMode::kUndoable) commit_image(image_, options_.log_directory);
    CHECK(model_.check_read({0, kSectors}, contents_of(image_), model_.now()) == "");
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path()))
      CHECK(!entry.path().string().ends_with(".redo"));
  }

  const unsigned seed_;
  const TempDir directory_;
  const std::filesystem::path image_;
  const std::vector<std::byte> initial_ = [] {
    std::vector<std::byte> data(kSectors * 512);
    DiskModel::fill(data, 0, 0);
    return data;
  }();
  const std::size_t kept_;
  DiskOptions options_;
  DiskTuning tuning_;
  DiskModel model_{kSectors};
  unsigned opened_ = 0;
  std::size_t deepest_ = 0, emptied_ = 0;
  std::uint64_t requests_ = 0;
};

/// As often as `usual`, or as the environment says.
void random_run(IoEngineKind kind, unsigned seed, unsigned usual, const std::filesystem::path& where,
                DiskMode mode = DiskMode::kPersistent) {
  constexpr const char* kVariable = "TINTYPE_MODEL_ROUNDS";
  const unsigned rounds = rounds_of(kVariable, usual);
  const bool is_long = std::getenv(kVariable) != nullptr;
  CAPTURE(seed);
  if (is_long) MESSAGE("seed ", seed, ", ", rounds, " rounds");
  RandomRun run(kind, seed, where, mode);
  run.run(rounds);
  if (is_long) MESSAGE("seed ", seed, ": ", run.requests(), " requests");
}

}  // namespace

TEST_CASE("no read sees a lost, torn, doubled or resurrected write, whatever switches and commits go on (io_uring)") {
  const unsigned seed = first_seed();
  random_run(IoEngineKind::kAuto, seed, 40, "/dev/shm");
  random_run(IoEngineKind::kAuto, seed + 1, 40, "/dev/shm");
  random_run(IoEngineKind::kAuto, seed + 2, 20, std::filesystem::temp_directory_path());
}

TEST_CASE("no read sees a lost, torn, doubled or resurrected write, whatever switches and commits go on (threads)") {
  const unsigned seed = first_seed() + 100;
  random_run(IoEngineKind::kThreads, seed, 40, "/dev/shm");
  random_run(IoEngineKind::kThreads, seed + 1, 40, "/dev/shm");
  random_run(IoEngineKind::kThreads, seed + 2, 20, std::filesystem::temp_directory_path());
}

TEST_CASE("the same on an undoable disk, whose logs go into one another") {
  random_run(IoEngineKind::kAuto, first_seed() + 200, 30, "/dev/shm", DiskMode::kUndoable);
  random_run(IoEngineKind::kThreads, first_seed() + 201, 30, "/dev/shm", DiskMode::kUndoable);
}

TEST_CASE("the same on a nonpersistent disk") {
  random_run(IoEngineKind::kAuto, first_seed() + 300, 30, "/dev/shm", DiskMode::kNonpersistent);
  random_run(IoEngineKind::kThreads, first_seed() + 301, 30, "/dev/shm", DiskMode::kNonpersistent);
}

}  // namespace tintype
