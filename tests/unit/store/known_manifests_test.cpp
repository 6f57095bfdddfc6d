// SPDX-License-Identifier: Apache-2.0
// What is remembered of a chain from one checkpoint to the next, and what must be seen all the same.
#include "checkpoint/store/known_manifests.h"

#include <doctest/doctest.h>

#include "checkpoint/store/operations.h"
#include "checkpoint/store/tidy.h"
#include "checkpoint/store/verify.h"
#include "tests/unit/store/film.h"

namespace tintype {
namespace {

using namespace checkpoint_test;
namespace fs = std::filesystem;

const auto kPlain = Compression::kNone;

struct Studio {
  ScratchDirectory scratch{quick_directory()};
  fs::path repository = scratch / "r";
  std::shared_ptr<KnownManifests> known = std::make_shared<KnownManifests>();
  std::optional<Manifest> last{};

  Studio() {
    for (int i = 0; i < 4; ++i) last = film::take(repository, last, kPlain, known);
  }
  Manifest next() { return film::take(repository, last, kPlain, known); }
};

}  // namespace

TEST_CASE("a manifest is read once, as long as its file is the same one") {
  const Studio studio;
  const fs::path third = studio.repository / "00000003", second = studio.repository / "00000002";
  const auto first_time = studio.known->read(third, 3);
  CHECK(first_time->id == 3);
  CHECK(studio.known->read(third, 3) == first_time);
  CHECK_THROWS_AS(studio.known->read(third, 4), ImageError);
  fs::rename(third, studio.scratch / "away");
  CHECK_THROWS_AS(studio.known->read(third, 3), ImageError);
  fs::copy(second, third, fs::copy_options::recursive);
  CHECK_THROWS_AS(studio.known->read(third, 3), ImageError);  // the manifest of another
  CHECK(studio.known->read(third, 2)->id == 2);
}

TEST_CASE("a manifest that is written to in place is read again") {
  const Studio studio;
  const fs::path file = studio.repository / "00000003" / "checkpoint.json";
  CHECK(studio.known->read(file.parent_path(), 3)->id == 3);
  fs::resize_file(file, 20);
  CHECK_THROWS_AS(studio.known->read(file.parent_path(), 3), ImageError);
}

TEST_CASE("a parent that was known and is gone, or not whole, is not built on") {
  Studio studio;
  SUBCASE("deleted") { delete_checkpoint(studio.repository, 4); }
  SUBCASE("a file is missing") { fs::remove(studio.repository / "00000004" / "memory.part"); }
  SUBCASE("a file is shorter") { fs::resize_file(studio.repository / "00000004" / "disk0.part", 100); }
  SUBCASE("its manifest is missing") { fs::remove(studio.repository / "00000004" / "checkpoint.json"); }
  SUBCASE("another one has its name") {
    fs::rename(studio.repository / "00000004", studio.scratch / "away");
    fs::rename(studio.repository / "00000003", studio.repository / "00000004");
  }
  CHECK_THROWS_AS(studio.next(), ParentGone);
  CHECK(film::take(studio.repository, std::nullopt, kPlain, studio.known).id > 3);
}

TEST_CASE("what is merged below a known parent is seen") {
  Studio studio;
  delete_checkpoint(studio.repository, 1);
  delete_checkpoint(studio.repository, 2);
  tidy_chains(studio.repository, {}, TidyOptions{[](std::span<const std::uint64_t>) { return true; }});
  studio.last = studio.next();
  studio.last = studio.next();
  CHECK(film::first_fault(studio.repository) == "");
  CHECK(verify_checkpoints(studio.repository, std::nullopt).good());
}

}  // namespace tintype
