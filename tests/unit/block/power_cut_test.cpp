// SPDX-License-Identifier: Apache-2.0
// The host loses power: what was flushed is there, and every sector shows a write that it has seen, whole.
#include "tests/unit/block/power_cut.h"

#include <unistd.h>

#include <atomic>
#include <future>
#include <mutex>
#include <thread>

#include <doctest/doctest.h>

#include "devices/block/recovery.h"
#include "tests/support/host_calls.h"
#include "tests/support/rounds.h"
#include "tests/unit/block/test_disk.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kCutSectors = 128;

fs::path fast_directory() { return fs::is_directory("/dev/shm") ? "/dev/shm" : fs::temp_directory_path(); }

/// What each sector may show after a power cut: writes that no other one has followed which a flush has covered.
/// (Writes that are in flight together may land in any order, and a sector shows one of them whole.)
class PossibleWrites {
 public:
  using Time = std::uint64_t;
  static constexpr Time kNotYet = ~Time{0};
  struct Write {
    std::uint64_t tag = 0;
    Time begun = 0, ended = kNotYet;
  };

  Time begin(const SectorRange& range, std::uint64_t tag) {
    const std::lock_guard lock(mutex_);
    ++now_;
    for (std::uint64_t s = range.start; s < range.end; ++s) sectors_[s].push_back({tag, now_});
    return now_;
  }
  void end(const SectorRange& range, Time begun) {
    const std::lock_guard lock(mutex_);
    ++now_;
    for (std::uint64_t s = range.start; s < range.end; ++s) {
      for (Write& write : sectors_[s]) {
        if (write.begun == begun) write.ended = now_;
      }
    }
  }
  Time begin_flush() {
    const std::lock_guard lock(mutex_);
    return ++now_;
  }
  void end_flush(Time begun) {
    const std::lock_guard lock(mutex_);
    for (auto& writes : sectors_) {
      Time newest = 0;  // of what the flush covers
      for (const Write& write : writes)
        if (write.ended < begun) newest = std::max(newest, write.begun);
      std::erase_if(writes, [&](const Write& write) { return write.ended < newest; });
    }
  }

  bool may_show(std::uint64_t sector, std::uint64_t tag) const {
    const std::lock_guard lock(mutex_);
    const auto& writes = sectors_[sector];
    return std::any_of(writes.begin(), writes.end(), [&](const Write& write) { return write.tag == tag; });
  }
  std::string describe(std::uint64_t sector) const {
    const std::lock_guard lock(mutex_);
    std::string text;
    for (const Write& write : sectors_[sector]) text += fmt::format(" {}", write.tag);
    return text;
  }

 private:
  mutable std::mutex mutex_;
  Time now_ = 0;
  std::array<std::vector<Write>, kCutSectors> sectors_ = [] {
    std::array<std::vector<Write>, kCutSectors> zeros;
    zeros.fill({{0, 0, 0}});
    return zeros;
  }();
};

/// A guest with several requests in flight, each of which knows what it changes.
class CutGuest {
 public:
  CutGuest(VirtualDisk& disk, PossibleWrites& possible, std::uint64_t seed)
      : disk_(disk), possible_(possible), random_(seed) {}

  std::size_t in_flight() const { return in_flight_; }

  void submit_one() {
    auto job = std::make_unique<Job>();
    job->guest = this;
    job->request.owner = job.get();
    job->request.done = finished;
    const auto dice = random_() % 16;
    job->request.operation = dice < 4   ? BlockOperation::kFlush
                             : dice < 8 ? BlockOperation::kZero
                                        : BlockOperation::kWrite;
    if (dice < 4)
      job->begun = possible_.begin_flush();
    else
      lay_out(*job);
    ++in_flight_;
    disk_.submit(job.release()->request);
    disk_.kick();
  }

 private:
  struct Job {
    BlockRequest request;
    CutGuest* guest = nullptr;
    SectorRange range;
    std::vector<std::uint64_t> data;
    PossibleWrites::Time begun = 0;
  };

  void lay_out(Job& job) {
    const bool zeros = job.request.operation == BlockOperation::kZero;
    const std::uint64_t first = random_() % kCutSectors;
    job.range = {first, first + 1 + random_() % std::min<std::uint64_t>(zeros ? kCutSectors : 16, kCutSectors - first)};
    job.request.offset = first * kSectorSize;
    if (zeros) {
      job.request.length = job.range.count() * kSectorSize;
      job.request.may_unmap = random_() % 2 == 0;
    } else {
      job.data.assign(job.range.count() * kSectorSize / 8, ++last_tag_);
      job.request.segments.push_back({job.data.data(), job.data.size() * 8});
    }
    job.begun = possible_.begin(job.range, zeros ? 0 : last_tag_);
  }

  static void finished(BlockRequest& request, int error_number) noexcept {
    const std::unique_ptr<Job> job(static_cast<Job*>(request.owner));
    --job->guest->in_flight_;
    CHECK(error_number == 0);
    if (request.operation == BlockOperation::kFlush)
      job->guest->possible_.end_flush(job->begun);
    else
      job->guest->possible_.end(job->range, job->begun);
  }

  VirtualDisk& disk_;
  PossibleWrites& possible_;
  std::mt19937_64 random_;
  std::uint64_t last_tag_ = 0;
  std::size_t in_flight_ = 0;
};

/// A disk whose every sector tells which write it comes from, with a guest that writes and flushes at random, switches
/// and commits under way meanwhile. At each call by which a file is changed the power may be cut.
class Trial {
 public:
  Trial(std::uint64_t seed, DiskMode mode) : mode_(mode), random_(seed), chance_(seed + 1), holds_(seed + 2) {
    test_.io->fail = [](const HostIo& io) {
      if (io.kind == HostIo::Kind::kSync) (void)::fdatasync(io.fd);  // the engine says only that it did
      return 0;
    };
    test_.io->hold = [this](const HostIo& io) {
      const std::lock_guard lock(holds_mutex_);
      return holding_ && io.kind != HostIo::Kind::kSync && holds_() % 2 == 0;
    };
    freeze();
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      const auto dice = random_() % 16;
      if (guest_.in_flight() < 6) guest_.submit_one();
      if (dice < 8 && test_.io->held() > 0) test_.io->release(random_() % test_.io->held());
      test_.disk->complete();
      if (dice == 15) freeze();
      if (dice == 14) commit_.valid() ? frozen_.clear() : commit();
      end_commit(std::chrono::seconds(0));
    }
    while (guest_.in_flight() > 0) finish_old_io();
    frozen_.clear();  // it keeps a commit waiting
    end_commit(std::chrono::seconds(60));
  }

  int cuts = 0, commits = 0, cuts_in_commits = 0, cuts_while_opening = 0;
  std::string wrong;  ///< the first thing that was

 private:
  void finish_old_io() {
    holding_ = false;
    while (test_.io->held() > 0) test_.io->release();
    test_.disk->complete();
    holding_ = true;
  }

  void freeze() {
    finish_old_io();
    test_.disk->prepare_switch();
    frozen_.push_back(test_.disk->switch_to_fresh_log());
  }

  // A checkpoint that is cancelled does not wait for what is in flight.
  void commit() {
    if (random_() % 2 == 0) {
      while (guest_.in_flight() > 0) finish_old_io();
      for (const auto& frozen : frozen_) frozen->wait_for_old_io(1'000);
    }
    frozen_.clear();
    const auto outcome = std::make_shared<std::promise<std::string>>();
    commit_ = outcome->get_future();
    test_.disk->start_commit([outcome](const std::string& error) { outcome->set_value(error); });
  }

  // After a commit the next log is made soon, so that there is something to cut into.
  void end_commit(std::chrono::seconds patience) {
    if (!commit_.valid() || commit_.wait_for(patience) != std::future_status::ready) return;
    REQUIRE(commit_.get() == "");
    ++commits;
    if (random_() % 2 == 0) freeze();
  }

  int seen(HostCalls::Moment moment, const fs::path& file) {
    cut_.seen(moment, file);
    using Moment = HostCalls::Moment;
    if (moment == Moment::kBeforeWrite || moment == Moment::kBeforeDataSync || moment == Moment::kBeforeSync)
      maybe_cut();
    return 0;
  }

  void maybe_cut() {
    if (chance_() % 3 != 0 || !wrong.empty()) return;
    ++cuts;
    if (std::this_thread::get_id() != guest_thread_) ++cuts_in_commits;
    const TempDir after(fast_directory()), twice(fast_directory());
    cut_.happen(after.path());
    try {
      if (chance_() % 4 == 0) cut_again(after.path(), twice.path());
      look_at(after.path() / image_.filename());
    } catch (const std::exception& error) {
      wrong = error.what();
    }
  }

  DiskOptions options(const fs::path& image) const {
    DiskOptions options = options_for(image);
    options.mode = mode_;
    return options;
  }

  /// What the disk shows when it is opened afterwards; twice, for what the first opening does must last.
  std::string contents_after(const fs::path& image) const {
    std::string bytes;
    for (int round = 0; round < 2; ++round) {
      const auto stack = recover(RawFile::open(image, false), options(image));
      std::string now(kCutSectors * kSectorSize, '\0');
      read_stack(*stack, 0, std::as_writable_bytes(std::span(now)));
      if (round == 1 && now != bytes) throw Error("the disk shows something else when it is opened again");
      bytes = std::move(now);
    }
    return bytes;
  }

  /// And the power is cut once more, while what the first cut has left is opened, wherever that is: what is found then
  /// is what would have been found.
  void cut_again(const fs::path& left, const fs::path& copy) {
    const fs::path image = copy / image_.filename();
    PowerCut(left / image_.filename(), chance_()).happen(copy);  // nothing is lost: it is a copy
    PowerCut again(image, chance_());
    std::vector<std::string> found;
    std::string failure;
    {
      const HostCalls calls([&](HostCalls::Moment moment, const fs::path& file) {
        again.seen(moment, file);
        if (chance_() % 4 != 0 || !failure.empty()) return 0;
        const TempDir after(fast_directory());
        try {
          again.happen(after.path());
          found.push_back(contents_after(after.path() / image.filename()));
        } catch (const std::exception& error) {
          failure = error.what();
        }
        return 0;
      });
      recover(RawFile::open(image, false), options(image));
    }
    if (!failure.empty()) throw Error("after a cut in the middle of opening it: {}", failure);
    const std::string expected = contents_after(image);
    for (const std::string& contents : found)
      if (contents != expected) throw Error("a cut in the middle of opening the disk changes what it shows");
    cuts_while_opening += static_cast<int>(found.size());
  }

  void look_at(const fs::path& image) {
    const std::string bytes = contents_after(image);
    go_on(image, bytes);
    for (std::uint64_t s = 0; s < kCutSectors; ++s) {
      std::array<std::uint64_t, kSectorSize / 8> words{};
      std::memcpy(words.data(), bytes.data() + s * kSectorSize, kSectorSize);
      const bool whole = std::all_of(words.begin(), words.end(), [&](std::uint64_t word) { return word == words[0]; });
      if (!whole || !possible_.may_show(s, words[0]))
        throw Error("sector {} holds write {}, which is none of{}", s, words[0], possible_.describe(s));
    }
  }

  /// An undoable disk writes on above what it found, and what was left out before must not come back with that.
  void go_on(const fs::path& image, const std::string& before) const {
    if (mode_ != DiskMode::kUndoable) return;
    std::string expected = before;
    std::fill_n(expected.begin(), kSectorSize, '\x5a');
    {
      ScriptedDisk test(options(image));
      if (test.driver->fill(0, kSectorSize, 0x5a) != 0 || test.driver->flush() != 0) throw Error("it cannot go on");
    }
    PowerCut::new_boot(image);
    const auto base = RawFile::open(image, false);
    LayerStack stack{base, find_stack(*base, {}, true).current, 1};
    std::string after(before.size(), '\0');
    read_stack(stack, 0, std::as_writable_bytes(std::span(after)));
    if (after != expected) throw Error("after the next power cut something comes back that was left out");
  }

  const DiskMode mode_;
  const std::thread::id guest_thread_ = std::this_thread::get_id();
  std::mt19937_64 random_;  ///< the guest's thread
  std::mt19937_64 chance_;  ///< of cuts, while no file changes
  std::mutex holds_mutex_;
  std::mt19937_64 holds_;  ///< of host I/O that stays in flight
  std::atomic<bool> holding_ = true;
  TempDir directory_{fast_directory()};
  fs::path image_ = directory_.image(kCutSectors * kSectorSize);
  PossibleWrites possible_;
  PowerCut cut_{image_, random_()};
  HostCalls calls_{[this](HostCalls::Moment moment, const fs::path& file) { return seen(moment, file); },
                   HostCalls::Of::kEveryThread};
  ScriptedDisk test_{options(image_)};
  CutGuest guest_{*test_.disk, possible_, random_()};
  std::vector<std::unique_ptr<FrozenDisk>> frozen_;
  std::future<std::string> commit_;
};

}  // namespace

void cut_power(DiskMode mode, std::uint64_t first_seed) {
  const unsigned enough = rounds_of("TINTYPE_POWER_CUTS", 2'000);
  unsigned cuts = 0, commits = 0, cuts_in_commits = 0, cuts_while_opening = 0;
  for (std::uint64_t seed = first_seed; cuts < enough; ++seed) {
    CAPTURE(seed);
    Trial trial(seed, mode);
    trial.run(60);
    REQUIRE(trial.wrong == "");
    cuts += trial.cuts;
    commits += trial.commits;
    cuts_in_commits += trial.cuts_in_commits;
    cuts_while_opening += trial.cuts_while_opening;
  }
  MESSAGE(cuts, " power cuts, ", commits, " commits, ", cuts_in_commits, " cuts by them, ", cuts_while_opening,
          " while the disk was opened again");
  CHECK(cuts_while_opening > cuts / 10);
  CHECK(commits > cuts / 500);
  CHECK(cuts_in_commits > cuts / 50);
}

TEST_CASE("a power cut, also in the middle of a flush or a commit, loses nothing that was flushed") {
  cut_power(DiskMode::kPersistent, 1);
}

TEST_CASE("the same on an undoable disk, which goes on with what it finds") { cut_power(DiskMode::kUndoable, 100'001); }

}  // namespace tintype
