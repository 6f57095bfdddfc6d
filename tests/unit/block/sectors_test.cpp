// SPDX-License-Identifier: Apache-2.0
#include "devices/block/sectors.h"

#include <algorithm>
#include <random>
#include <vector>

#include <doctest/doctest.h>

#include "devices/block/live_commit.h"

namespace tintype {

TEST_CASE("the index of a log agrees with a table of sectors, whatever is inserted and erased") {
  constexpr std::uint64_t kCount = 300;
  std::mt19937 random(7);
  const auto roll = [&](std::uint64_t limit) { return random() % limit; };
  ExtentIndex index;
  RangeSet set;
  std::vector<std::uint64_t> table(kCount, 0);
  for (std::uint64_t step = 1; step < 5'000; ++step) {
    const SectorRange range{roll(kCount), 0};
    const SectorRange changed{range.start, std::min(kCount, range.start + roll(40))};
    const std::uint64_t position =
        roll(3) == 0 ? 1 + roll(1000) : 10'000 + changed.start;  // the latter often continue each other
    const bool insert = roll(2) == 0;
    for (std::uint64_t sector = changed.start; sector < changed.end; ++sector) {
      table[sector] = insert ? position + (sector - changed.start) : 0;
    }
    insert ? index.insert(changed, position) : index.erase(changed);
    insert ? set.insert(changed) : set.erase(changed);
    std::uint64_t held = 0;
    for (std::uint64_t sector = 0; sector < kCount; ++sector) {
      const auto extent = index.at_or_after(sector);
      const bool here = extent && extent->range.start == sector;
      REQUIRE((here ? extent->position : 0) == table[sector]);
      REQUIRE(set.overlaps({sector, sector + 1}) == here);
      held += here;
    }
    REQUIRE(index.sector_count() == held);
  }
}

TEST_CASE("a set of ranges joins those that touch") {
  RangeSet set;
  set.insert({10, 20});
  set.insert({30, 40});
  CHECK(set.range_count() == 2);
  set.insert({20, 30});
  CHECK(set.range_count() == 1);
  CHECK(set.at_or_after(15) == SectorRange{15, 40});
  CHECK_FALSE(set.at_or_after(40).has_value());
}

TEST_CASE("zeros keep the room that data had, so that data comes back to it") {
  ExtentIndex index;
  index.insert({10, 20}, 1000);
  index.insert_zeros({5, 15});
  CHECK(index.sector_count() == 15);
  CHECK(index.extent_count() == 3);
  CHECK(index.at_or_after(0)->range == SectorRange{5, 10});
  CHECK(index.at_or_after(0)->position == ExtentIndex::kNoRoom);
  const auto room = index.at_or_after(12);
  CHECK(room->range == SectorRange{12, 15});
  CHECK(room->position == 1002);
  CHECK(room->zeros);
  CHECK_FALSE(index.at_or_after(15)->zeros);
  CHECK(index.at_or_after(15)->position == 1005);
  CHECK(index.holds_only_zeros({5, 15}));
  CHECK_FALSE(index.holds_only_zeros({4, 15}));
  CHECK_FALSE(index.holds_only_zeros({5, 16}));
  index.insert({10, 12}, 1000);
  CHECK_FALSE(index.holds_only_zeros({5, 15}));
  CHECK(index.at_or_after(10)->range == SectorRange{10, 12});
}

TEST_CASE("zeros without room are one extent, however they came") {
  ExtentIndex index;
  for (std::uint64_t start = 0; start < 100; start += 10) index.insert_zeros({start, start + 10});
  index.insert_zeros({0, 100});
  CHECK(index.extent_count() == 1);
  CHECK(index.sector_count() == 100);
}

namespace {

struct LiveCommitFixture {
  ExtentIndex index;
  std::vector<SectorRange> in_flight;
  std::uint64_t cursor = 0;

  LiveCommitFixture() { index.insert({0, 100}, 1000); }
  std::vector<LiveCommit::Part> route(LiveCommit& commit, SectorRange range) {
    std::vector<LiveCommit::Part> parts;
    commit.route(range, parts);
    return parts;
  }
  LiveCommit::Chunk next_chunk(LiveCommit& commit, std::uint64_t limit) {
    return commit.next_chunk(cursor, limit, [this](const SectorRange&) { return in_flight; });
  }
};

}  // namespace

TEST_CASE_FIXTURE(LiveCommitFixture, "a write to what is being copied makes the copy void") {
  LiveCommit commit(index);
  REQUIRE(next_chunk(commit, 100).sectors == 100);
  const auto parts = route(commit, {10, 20});
  REQUIRE(parts.size() == 1);
  CHECK(parts[0].target == LiveCommit::Target::kLog);
  commit.chunk_copied();
  CHECK_FALSE(commit.begin_settling());
  cursor = 0;
  const LiveCommit::Chunk again = next_chunk(commit, 100);
  REQUIRE(again.extents.size() == 1);
  CHECK(again.extents[0].range == SectorRange{10, 20});
  commit.chunk_copied();
  CHECK(commit.begin_settling());
  CHECK(commit.settled());
}

TEST_CASE_FIXTURE(LiveCommitFixture, "what a write in flight touches is not copied") {
  LiveCommit commit(index);
  in_flight = {{40, 60}};
  const LiveCommit::Chunk chunk = next_chunk(commit, 100);
  REQUIRE(chunk.extents.size() == 2);
  CHECK(chunk.extents[0].range == SectorRange{0, 40});
  CHECK(chunk.extents[1].range == SectorRange{60, 100});
  CHECK(chunk.extents[1].position == 1060);
}

TEST_CASE_FIXTURE(LiveCommitFixture, "a log is superfluous only after a sync that began when all was mirrored") {
  LiveCommit commit(index);
  CHECK(route(commit, {0, 100})[0].target == LiveCommit::Target::kBoth);
  CHECK_FALSE(commit.begin_settling());  // the write is still in flight
  commit.mirrored({0, 100}, true);
  CHECK_FALSE(commit.settled());
  CHECK(commit.begin_settling());
  CHECK(route(commit, {10, 20})[0].target == LiveCommit::Target::kBoth);  // until it has gone
  CHECK(commit.settled());
}

TEST_CASE_FIXTURE(LiveCommitFixture, "a mirrored write that failed takes the sector back to the log") {
  LiveCommit commit(index);
  commit.mirrored({0, 100}, true);
  CHECK(commit.begin_settling());
  commit.mirrored({12, 14}, false);
  CHECK_FALSE(commit.settled());
  commit.mirrored({12, 14}, true);
  CHECK_FALSE(commit.settled());  // the base has been synced too early
  CHECK(commit.begin_settling());
}

TEST_CASE_FIXTURE(LiveCommitFixture, "only what the log holds is mirrored") {
  LiveCommit commit(index);
  commit.mirrored({50, 250}, true);
  CHECK_FALSE(commit.begin_settling());
  commit.mirrored({0, 50}, true);
  CHECK(commit.begin_settling());
}

}  // namespace tintype
