// SPDX-License-Identifier: Apache-2.0
#include "devices/block/changed_blocks.h"

#include <random>
#include <set>
#include <vector>

#include <doctest/doctest.h>

namespace tintype {
namespace {

constexpr std::uint64_t kPieceSectors = 262'144;  ///< 128 MiB

using Blocks = std::set<std::uint64_t>;
using Runs = std::vector<SectorRange>;

void insert(Blocks& blocks, const SectorRange& range) {
  for (std::uint64_t sector = range.start; sector < range.end; ++sector) blocks.insert(sector / 8);
}

Runs runs_of(const Blocks& blocks, std::uint64_t disk_sectors) {
  Runs runs;
  for (const std::uint64_t block : blocks) {
    if (runs.empty() || runs.back().end != block * 8) runs.push_back({block * 8, block * 8});
    runs.back().end = std::min(block * 8 + 8, disk_sectors);
  }
  return runs;
}

Runs runs_of(const ChangedBlocks& set) {
  Runs runs;
  for (auto run = set.at_or_after(0); run; run = set.at_or_after(run->end)) runs.push_back(*run);
  return runs;
}

/// Mostly short, and mostly near the borders of words and pieces.
SectorRange random_range(std::mt19937_64& random, std::uint64_t disk_sectors) {
  const auto roll = [&](std::uint64_t limit) {
    return std::uniform_int_distribution<std::uint64_t>(0, limit - 1)(random);
  };
  const std::uint64_t border = roll(2) == 0 ? kPieceSectors * (1 + roll(2)) : 512 * roll(disk_sectors / 512);
  const std::uint64_t start = std::min(border - std::min<std::uint64_t>(border, roll(700)) + roll(700), disk_sectors);
  return {start, std::min(disk_sectors, start + roll(roll(8) == 0 ? 20'000 : 40))};
}

}  // namespace

TEST_CASE("a set of changed blocks holds what was inserted, in runs as long as can be, and no more") {
  constexpr std::uint64_t kDisk = 3 * kPieceSectors - 1003;  // ends inside a block, a word and a piece
  std::mt19937_64 random(1);
  for (int round = 0; round < 20; ++round) {
    ChangedBlocks set(kDisk), other(kDisk);
    Blocks model, other_model;
    for (int i = 0; i < 60; ++i) {
      const SectorRange range = random_range(random, kDisk);
      set.insert(range);
      insert(model, range);
      const SectorRange for_other = random_range(random, kDisk);
      other.insert(for_other);
      insert(other_model, for_other);
    }
    REQUIRE(runs_of(set) == runs_of(model, kDisk));
    REQUIRE(set.byte_count() == model.size() * 4096);
    for (std::size_t piece = 0; piece < set.piece_count(); ++piece) set.insert_piece(other, piece);
    model.insert(other_model.begin(), other_model.end());
    REQUIRE(runs_of(set) == runs_of(model, kDisk));
    REQUIRE(set.byte_count() == model.size() * 4096);
    REQUIRE(runs_of(other) == runs_of(other_model, kDisk));
  }
}

TEST_CASE("a set of changed blocks is whole at both ends of the disk") {
  for (const std::uint64_t disk : {std::uint64_t{1}, std::uint64_t{8}, std::uint64_t{9}, std::uint64_t{512},
                                   kPieceSectors - 1, kPieceSectors, kPieceSectors + 1}) {
    CAPTURE(disk);
    ChangedBlocks set(disk);
    CHECK(runs_of(set).empty());
    set.insert({disk, disk});
    CHECK(runs_of(set).empty());
    set.insert({disk - 1, disk});
    CHECK(runs_of(set) == Runs{{(disk - 1) / 8 * 8, disk}});
    set.insert({0, disk});
    CHECK(runs_of(set) == Runs{{0, disk}});
    CHECK_FALSE(set.at_or_after(disk).has_value());
    CHECK(set.at_or_after(disk - 1) == SectorRange{(disk - 1) / 8 * 8, disk});
  }
}

TEST_CASE("a set of changed blocks that holds all goes on holding all") {
  constexpr std::uint64_t kDisk = 2 * kPieceSectors + 3;
  ChangedBlocks set(kDisk), other(kDisk);
  other.insert({8, 16});
  set.insert({64, 72});
  set.insert_all();
  set.insert({0, 8});
  set.insert_piece(other, 0);
  CHECK(set.holds_all());
  CHECK(runs_of(set) == Runs{{0, kDisk}});
  CHECK(set.at_or_after(13) == SectorRange{8, kDisk});
  CHECK_FALSE(set.at_or_after(kDisk).has_value());
  CHECK(set.byte_count() == (kDisk + 7) / 8 * 4096);
}

TEST_CASE("a few changes on a disk of 64 TiB are found") {
  constexpr std::uint64_t kDisk = std::uint64_t{64} << 31;
  ChangedBlocks set(kDisk);
  Blocks model;
  std::mt19937_64 random(2);
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t start = std::uniform_int_distribution<std::uint64_t>(0, kDisk - 100)(random);
    set.insert({start, start + 9});
    insert(model, {start, start + 9});
  }
  CHECK(runs_of(set) == runs_of(model, kDisk));
}

}  // namespace tintype
