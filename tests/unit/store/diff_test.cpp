// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/diff.h"

#include <doctest/doctest.h>

#include "tests/unit/store/film.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

using namespace checkpoint_test;
namespace fs = std::filesystem;

/// What differs between two pictures, block by block.
std::vector<ChangedRun> runs_between(const Bytes& a, const Bytes& b) {
  std::vector<ChangedRun> runs;
  for (std::uint64_t block = 0; block * kBlockSize < a.size(); ++block) {
    const auto begin = static_cast<std::ptrdiff_t>(block * kBlockSize);
    const auto end = static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(a.size(), (block + 1) * kBlockSize));
    if (std::equal(a.begin() + begin, a.begin() + end, b.begin() + begin)) continue;
    if (!runs.empty() && runs.back().first_block + runs.back().blocks == block)
      ++runs.back().blocks;
    else
      runs.push_back({block, 1});
  }
  return runs;
}

film::Picture picture_of(const Manifest& manifest) {
  film::Picture picture;
  for (const std::uint64_t id : film::ids_in(manifest.machine.append)) film::apply(id, picture);
  return picture;
}

}  // namespace

TEST_CASE("what differs between two checkpoints of a chain is what was written between them") {
  const ScratchDirectory scratch(quick_directory());
  const fs::path repository = scratch / "r";
  std::vector<Manifest> chain;
  for (int i = 0; i < 5; ++i)
    chain.push_back(film::take(repository, chain.empty() ? std::nullopt : std::optional(chain.back())));
  for (const auto& pair : {std::pair{0, 1}, {0, 4}, {4, 0}, {2, 3}}) {
    const int a = pair.first, b = pair.second;
    CAPTURE(a);
    CAPTURE(b);
    const CheckpointDiff diff = diff_checkpoints(repository, chain[a].id, chain[b].id);
    const film::Picture before = picture_of(chain[a]), after = picture_of(chain[b]);
    CHECK(diff.memory.runs == runs_between(before.memory, after.memory));
    REQUIRE(diff.disks.size() == 1);
    CHECK(diff.disks[0].runs == runs_between(before.disk, after.disk));
    std::uint64_t changed = 0;
    for (const ChangedRun& run : diff.memory.runs) changed += run.blocks;
    CHECK(diff.memory.changed == changed);
    CHECK(changed > 0);
  }
  CHECK(diff_checkpoints(repository, 3, 3).memory.changed == 0);
  CHECK_THROWS_AS(diff_checkpoints(repository, 3, 9), Error);
}

}  // namespace tintype
