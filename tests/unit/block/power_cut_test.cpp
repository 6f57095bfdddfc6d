// SPDX-License-Identifier: Apache-2.0
// The host loses power: what was flushed is there, and every sector shows a write that it has seen, whole.
#include "tests/unit/block/power_cut.h"

#include <set>

#include <doctest/doctest.h>

#include "devices/block/recovery.h"
#include "tests/support/rounds.h"
#include "tests/unit/block/host_calls.h"
#include "tests/unit/block/test_disk.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kCutSectors = 128;

fs::path fast_directory() { return fs::is_directory("/dev/shm") ? "/dev/shm" : fs::temp_directory_path(); }

/// A disk whose every sector tells which write it comes from, with a guest that writes and flushes at random. After
/// each host I/O the power may be cut.
class Trial {
 public:
  Trial(std::uint64_t seed, DiskMode mode) : mode_(mode), random_(seed), cut_(directory_.path(), seed) {
    freeze();
    test_.io->fail = [this](const HostIo& io) {
      maybe_cut();
      if (io.kind == HostIo::Kind::kSync) cut_.synced(layer_of(io));
      return 0;
    };
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      const auto dice = random_() % 16;
      if (dice == 0) freeze();
      if (dice == 15 && random_() % 2 == 0) commit();
      if (dice < 4)
        flush();
      else
        dice < 8 ? zero() : write();
    }
  }

  int cuts = 0, commits = 0, cuts_while_opening = 0;
  std::string wrong;  ///< the first thing that was

 private:
  void write() {
    const std::uint64_t first = random_() % kCutSectors;
    const std::uint64_t count = 1 + random_() % std::min<std::uint64_t>(16, kCutSectors - first);
    const std::uint64_t tag = ++last_tag_;
    std::vector<std::uint64_t> data(count * kSectorSize / 8, tag);
    for (std::uint64_t s = first; s < first + count; ++s) possible_[s].insert(tag);
    REQUIRE(test_.driver->write(first * kSectorSize, std::as_bytes(std::span(data))) == 0);
    for (std::uint64_t s = first; s < first + count; ++s) newest_[s] = tag;
  }

  void zero() {
    const std::uint64_t first = random_() % kCutSectors;
    const std::uint64_t count = 1 + random_() % (kCutSectors - first);
    for (std::uint64_t s = first; s < first + count; ++s) possible_[s].insert(0);
    REQUIRE(test_.driver->zero(first * kSectorSize, count * kSectorSize, random_() % 2 == 0) == 0);
    for (std::uint64_t s = first; s < first + count; ++s) newest_[s] = 0;
  }

  void flush() {
    REQUIRE(test_.driver->flush() == 0);
    for (std::uint64_t s = 0; s < kCutSectors; ++s) possible_[s] = {newest_[s]};
  }

  void freeze() {
    test_.disk->prepare_switch();
    cut_.new_files_synced();
    frozen_.push_back(test_.disk->switch_to_fresh_log());
  }

  // The guest waits meanwhile; after a commit the next log is made at once, so that there is something to cut into.
  void commit() {
    for (const auto& frozen : frozen_) frozen->wait_for_old_io(1'000);
    frozen_.clear();
    const auto outcome = std::make_shared<std::promise<std::string>>();
    test_.disk->start_commit([outcome](const std::string& error) { outcome->set_value(error); });
    REQUIRE(outcome->get_future().get() == "");
    ++commits;
    cut_.forget_deleted();
    freeze();
  }

  void maybe_cut() {
    if (random_() % 3 != 0 || !wrong.empty()) return;
    ++cuts;
    cut_.forget_deleted();
    const TempDir after(fast_directory()), twice(fast_directory());
    cut_.happen(image_, after.path());
    try {
      if (random_() % 4 == 0) cut_again(after.path(), twice.path());
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
    PowerCut once(left, random_());
    once.new_files_synced();
    once.happen(left / image_.filename(), copy);  // nothing is lost: it is a copy
    const fs::path image = copy / image_.filename();
    PowerCut again(copy, random_());
    again.new_files_synced();
    std::vector<std::string> found;
    std::string failure;
    {
      const HostCalls calls([&](HostCalls::Moment moment, const fs::path& file) {
        if (moment == HostCalls::Moment::kAfterSync) {
          if (fs::is_directory(file)) again.forget_deleted();
          if (file == image || (file.extension() == ".redo" && fs::exists(file))) again.synced(file);
          return;
        }
        if (random_() % 4 != 0 || !failure.empty()) return;
        const TempDir after(fast_directory());
        try {
          again.happen(image, after.path());
          found.push_back(contents_after(after.path() / image.filename()));
        } catch (const std::exception& error) {
          failure = error.what();
        }
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
      if (!whole || possible_[s].count(words[0]) == 0) {
        throw Error("sector {} holds write {}, flushed was {}, newest is {}", s, words[0], *possible_[s].begin(),
                    newest_[s]);
      }
    }
  }

  /// An undoable disk writes on above what it found, and what was left out before must not come back with that.
  void go_on(const fs::path& image, const std::string& before) const {
    if (mode_ != DiskMode::kUndoable) return;
    std::string expected = before;
    std::fill_n(expected.begin(), kSectorSize, '\x5a');
    {
      TestDisk test(options(image));
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
  std::mt19937_64 random_;
  TempDir directory_{fast_directory()};
  PowerCut cut_;
  fs::path image_ = directory_.image(kCutSectors * kSectorSize);
  ScriptedDisk test_{options(image_)};
  std::vector<std::unique_ptr<FrozenDisk>> frozen_;
  std::uint64_t last_tag_ = 0;
  std::array<std::uint64_t, kCutSectors> newest_{};
  std::array<std::set<std::uint64_t>, kCutSectors> possible_ = [] {
    std::array<std::set<std::uint64_t>, kCutSectors> zeros;
    zeros.fill({0});
    return zeros;
  }();
};

}  // namespace

void cut_power(DiskMode mode, std::uint64_t first_seed) {
  const unsigned enough = rounds_of("TINTYPE_POWER_CUTS", 2'000);
  unsigned cuts = 0, commits = 0, cuts_while_opening = 0;
  for (std::uint64_t seed = first_seed; cuts < enough; ++seed) {
    CAPTURE(seed);
    Trial trial(seed, mode);
    trial.run(40);
    REQUIRE(trial.wrong == "");
    cuts += trial.cuts;
    commits += trial.commits;
    cuts_while_opening += trial.cuts_while_opening;
  }
  MESSAGE(cuts, " power cuts, ", commits, " commits, ", cuts_while_opening, " cuts while the disk was opened again");
  CHECK(cuts_while_opening > cuts / 10);
  CHECK(commits > cuts / 500);
}

TEST_CASE("a power cut, also in the middle of a flush or a commit, loses nothing that was flushed") {
  cut_power(DiskMode::kPersistent, 1);
}

TEST_CASE("the same on an undoable disk, which goes on with what it finds") { cut_power(DiskMode::kUndoable, 100'001); }

}  // namespace tintype
