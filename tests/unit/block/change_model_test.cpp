// SPDX-License-Identifier: Apache-2.0
// What a disk says of its changes is enough for a chain of incremental checkpoints, and not much more.
#include <future>
#include <memory>
#include <random>
#include <set>
#include <system_error>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support/rounds.h"
#include "tests/support/skip.h"
#include "tests/support/slow_engine.h"
#include "tests/unit/block/change_chain.h"
#include "tests/unit/block/disk_model.h"
#include "tests/unit/block/seed.h"
#include "tests/unit/block/test_disk.h"

namespace tintype {
namespace {

constexpr std::uint64_t kFilmSectors = 12'003;  ///< ends inside a block; nearly three groups of a log
constexpr std::size_t kMostInFlight = 24;

using Blocks = std::set<std::uint64_t>;

/// The blocks that `range` touches.
void note(Blocks& blocks, const SectorRange& range) {
  for (std::uint64_t block = range.start / 8; block * 8 < range.end; ++block) blocks.insert(block);
}

/// A guest that writes and discards at random, many requests at a time, and notes which blocks it writes.
class WritingGuest {
 public:
  WritingGuest(VirtualDisk& disk, unsigned seed) : disk_(disk), random_(seed) {}

  std::uint64_t roll(std::uint64_t limit) {
    return std::uniform_int_distribution<std::uint64_t>(0, limit - 1)(random_);
  }

  void submit_one() {
    const std::uint64_t longest = roll(20) == 0 ? 3000 : roll(4) == 0 ? 300 : 20;  // a log takes 1024 at a time
    const std::uint64_t room = roll(3) == 0 ? 200 : kFilmSectors;                  // some sectors are hot
    const std::uint64_t start = roll(room);
    auto job = std::make_unique<Job>();
    job->guest = this;
    job->range = {start, std::min(kFilmSectors, start + 1 + roll(longest))};
    job->data.resize(job->range.count() * 512);
    if (roll(6) != 0) DiskModel::fill(job->data, ++last_tag_, start);  // the rest writes zeros
    job->request = {BlockOperation::kWrite, start * 512, {{job->data.data(), job->data.size()}}, finished, job.get()};
    if (roll(10) == 0) {
      job->request.operation = BlockOperation::kZero;
      job->request.segments.clear();
      job->request.length = job->range.count() * 512;
      job->request.may_unmap = roll(2) == 0;
    }
    note(written_, job->range);
    in_flight_.insert(job.get());
    disk_.submit(job.release()->request);
  }
  void complete() {
    disk_.kick();
    pollfd waiting{disk_.completion_fd(), POLLIN, 0};
    ::poll(&waiting, 1, 1);
    disk_.complete();
  }
  void run(std::uint64_t writes) {
    while (writes > 0) {
      for (std::uint64_t depth = 1 + roll(kMostInFlight); writes > 0 && in_flight_.size() < depth; --writes)
        submit_one();
      complete();
    }
  }
  void finish_all() {
    for (int i = 0; i < 30'000 && !in_flight_.empty(); ++i) complete();
    CHECK(in_flight_.empty());
  }

  /// All blocks written to since the last call, what was in flight then included.
  Blocks take_written() {
    Blocks written;
    for (const Job* job : in_flight_) note(written, job->range);
    std::swap(written, written_);
    return written;
  }

 private:
  struct Job {
    BlockRequest request;
    WritingGuest* guest = nullptr;
    SectorRange range;
    std::vector<std::byte> data;
  };

  static void finished(BlockRequest& request, int error_number) noexcept {
    const std::unique_ptr<Job> job(static_cast<Job*>(request.owner));
    job->guest->in_flight_.erase(job.get());
    CHECK(error_number == 0);
  }

  VirtualDisk& disk_;
  std::mt19937_64 random_;
  DiskModel::Tag last_tag_ = 0;
  std::set<Job*> in_flight_;
  Blocks written_;
};

/// What is wrong with what a frozen disk says of its changes, of which some lie in blocks that were `written` and none
/// in others.
std::string judge(const ChangeChain::Link& link, const Blocks& written) {
  if (!link.holds()) return "the changes do not lead from the last picture to this one";
  for (const SectorRange& change : link.changes) {
    if (change.start % 8 != 0 || (change.end % 8 != 0 && change.end != kFilmSectors))
      return "a change is not whole blocks";
    for (std::uint64_t block = change.start / 8; block * 8 < change.end; ++block)
      if (written.count(block) == 0) return fmt::format("block {} is said to have changed", block);
  }
  return {};
}

Blocks all_blocks() {
  Blocks blocks;
  note(blocks, {0, kFilmSectors});
  return blocks;
}

/// The next frozen disk, with writes in flight.
std::unique_ptr<FrozenDisk> freeze(VirtualDisk& disk, WritingGuest& guest) {
  disk.prepare_switch();
  if (guest.roll(6) == 0) {
    disk.cancel_switch();
    guest.run(10);
    disk.prepare_switch();
  }
  guest.run(guest.roll(20));
  for (int i = 0; i < 4; ++i) guest.submit_one();
  return disk.switch_to_fresh_log();
}

/// Freezes a disk again and again while a guest writes to it. One in three checkpoints fails.
void film(IoEngineKind kind, unsigned seed, std::size_t pictures) {
  CAPTURE(seed);
  const TempDir directory;
  DiskTuning tuning;
  tuning.make_engine = [&] {
    return std::make_unique<SlowEngine>(make_io_engine(kind), std::chrono::milliseconds(2), seed);
  };
  VirtualDisk disk(options_for(directory.image(kFilmSectors * 512)), tuning);
  WritingGuest guest(disk, seed);
  ChangeChain chain(kFilmSectors * 512);
  Blocks written = all_blocks();  // since the last picture that was saved; nobody knows before the first
  for (std::size_t picture = 0; picture < pictures; ++picture) {
    guest.run(guest.roll(150));
    auto frozen = freeze(disk, guest);
    written.merge(guest.take_written());
    auto next = std::async(std::launch::async, [&] {
      frozen->wait_for_old_io(30'000);
      return chain.next(*frozen);
    });
    while (next.wait_for(std::chrono::seconds(0)) != std::future_status::ready) guest.run(5);
    ChangeChain::Link link = next.get();
    REQUIRE(judge(link, written) == "");
    frozen.reset();
    if (guest.roll(4) != 0) disk.start_commit();
    guest.run(guest.roll(50));
    if (guest.roll(3) == 0) continue;
    disk.changes_saved();
    chain.save(std::move(link));
    written.clear();
  }
  guest.finish_all();
  disk.close();
  if (kAllRounds) CHECK(chain.length() > pictures / 3);
}

}  // namespace

TEST_CASE("a chain of changes leads to every picture of a disk, whatever is in flight or fails (io_uring)") {
  try {
    const auto missing = make_io_engine(IoEngineKind::kRing);
  } catch (const std::system_error& error) {
    SKIP_TEST(error.what());
  }
  for (unsigned seed = first_seed(); seed < first_seed() + 2; ++seed) film(IoEngineKind::kRing, seed, rounds(30));
}

TEST_CASE("a chain of changes leads to every picture of a disk, whatever is in flight or fails (threads)") {
  for (unsigned seed = first_seed(); seed < first_seed() + 2; ++seed)
    film(IoEngineKind::kThreads, seed + 100, rounds(30));
}

}  // namespace tintype
