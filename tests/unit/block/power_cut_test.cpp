// SPDX-License-Identifier: Apache-2.0
// The host loses power: what was flushed is there, and every sector shows a write that it has seen, whole.
#include "tests/unit/block/power_cut.h"

#include <set>

#include <doctest/doctest.h>

#include "devices/block/recovery.h"
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
  explicit Trial(std::uint64_t seed) : random_(seed), cut_(directory_.path(), seed) {
    test_.disk->prepare_switch();
    cut_.new_files_synced();
    frozen_.push_back(test_.disk->switch_to_fresh_log());
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
      if (dice < 4)
        flush();
      else
        write();
    }
  }

  int cuts = 0;
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

  void flush() {
    REQUIRE(test_.driver->flush() == 0);
    for (std::uint64_t s = 0; s < kCutSectors; ++s) possible_[s] = {newest_[s]};
  }

  void freeze() {
    test_.disk->prepare_switch();
    cut_.new_files_synced();
    frozen_.push_back(test_.disk->switch_to_fresh_log());
  }

  void maybe_cut() {
    if (random_() % 3 != 0 || !wrong.empty()) return;
    ++cuts;
    const TempDir after(fast_directory());
    cut_.happen(image_, after.path());
    try {
      look_at(after.path() / image_.filename());
    } catch (const std::exception& error) {
      wrong = error.what();
    }
  }

  void look_at(const fs::path& image) {
    recover(RawFile::open(image, false), options_for(image));
    const std::string bytes = read_text_file(image, kCutSectors * kSectorSize + 1);
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

  std::mt19937_64 random_;
  TempDir directory_{fast_directory()};
  PowerCut cut_;
  fs::path image_ = directory_.image(kCutSectors * kSectorSize);
  ScriptedDisk test_{image_};
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

TEST_CASE("a power cut, also in the middle of a flush, loses nothing that was flushed") {
  int cuts = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Trial trial(seed);
    trial.run(40);
    REQUIRE(trial.wrong == "");
    cuts += trial.cuts;
  }
  MESSAGE(cuts, " power cuts");
  CHECK(cuts > 5000);
}

}  // namespace tintype
