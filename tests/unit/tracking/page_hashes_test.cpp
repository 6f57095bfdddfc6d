// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/page_hashes.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

namespace tintype {
namespace {

using Runs = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

/// One chunk of memory that is all there, and what compare() says of it.
class HashRig {
 public:
  HashRig() : contents(kHugePageSize, std::byte{7}), memory_(2 * kHugePageSize), chunks_(memory_), residency_(chunks_) {
    REQUIRE(memory_.write(Gpa(0), contents));
    residency_.scan();
  }
  Runs compare(bool all = false) { return compare(residency_.pages(), all); }
  Runs compare(const PageSet& pages, bool all = false) {
    Runs runs;
    hashes.compare(0, contents, pages, residency_, all,
                   [&](std::uint64_t page, std::uint64_t count) { runs.emplace_back(page, count); });
    return runs;
  }
  void change(std::uint64_t page) { contents[page * kPageSize + 77] ^= std::byte{1}; }

  std::vector<std::byte> contents;

 private:
  GuestMemory memory_;
  ChunkTable chunks_;
  Residency residency_;

 public:
  PageHashes hashes{chunks_};
};

}  // namespace

TEST_CASE("of a chunk that nothing is known of, every page that is there has changed") {
  HashRig rig;
  CHECK(rig.compare() == Runs{{0, 512}});
}

TEST_CASE("what a checkpoint that was kept has seen is not changed, until it changes") {
  HashRig rig;
  rig.compare();
  rig.hashes.keep();
  CHECK(rig.compare().empty());
  rig.change(0);
  rig.change(5);
  rig.change(6);
  rig.change(511);
  CHECK(rig.compare() == Runs{{0, 1}, {5, 2}, {511, 1}});
  CHECK(rig.compare(true) == Runs{{0, 512}});
}

TEST_CASE("only the pages that are asked for are looked at, and the others stay what they were") {
  HashRig rig;
  PageSet some(1024);
  some.add(5, 2);
  CHECK(rig.compare(some) == Runs{{5, 2}});  // nothing is known of any
  rig.hashes.keep();
  CHECK(rig.compare(some).empty());
  CHECK(rig.compare() == Runs{{0, 5}, {7, 505}});
  rig.hashes.keep();
  rig.change(6);
  rig.change(9);
  CHECK(rig.compare(some) == Runs{{6, 1}});
  rig.hashes.keep();
  CHECK(rig.compare() == Runs{{9, 1}});
}

TEST_CASE("what a checkpoint has seen that was not kept counts for nothing") {
  HashRig rig;
  rig.compare();
  rig.hashes.keep();
  rig.change(9);
  rig.compare();
  rig.hashes.forget();
  rig.hashes.keep();
  CHECK(rig.compare() == Runs{{9, 1}});
  rig.change(9);
  CHECK(rig.compare().empty());  // it is as it was in the last one that was kept
}

}  // namespace tintype
