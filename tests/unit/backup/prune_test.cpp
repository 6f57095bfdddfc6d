// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/prune.h"

#include <fstream>

#include <doctest/doctest.h>

#include "checkpoint/store/operations.h"
#include "checkpoint/store/verify.h"
#include "tests/unit/store/film.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

using namespace checkpoint_test;
namespace fs = std::filesystem;
using Ids = std::vector<std::uint64_t>;

/// Six in a chain, as taken within a second.
struct ChainOfSix {
  ScratchDirectory scratch{quick_directory()};
  fs::path repository = scratch / "r";
  std::optional<Manifest> last{};
  ChainOfSix() {
    for (int i = 0; i < 6; ++i) last = film::take(repository, last);
  }
  Ids ids() const { return Repository::open(repository).ids(); }
};

PruneOptions keep(const char* rule) { return {parse_retention(rule, "--keep"), "", false}; }

}  // namespace

TEST_CASE("what the rule does not keep is deleted, and what stays shows what it must") {
  const ChainOfSix studio;
  const Pruning pruning = prune(studio.repository, keep("last=2"));
  CHECK(studio.ids() == Ids{5, 6});
  REQUIRE(pruning.checkpoints.size() == 6);
  CHECK(pruning.checkpoints[3].because.empty());
  CHECK(pruning.checkpoints[4].because == std::vector<std::string_view>{"last"});
  CHECK(film::first_fault(studio.repository) == "");
  CHECK(verify_checkpoints(studio.repository, std::nullopt).good());
  CHECK(prune(studio.repository, keep("last=2")).checkpoints.size() == 2);  // nothing more to do
}

TEST_CASE("what is known to be damaged takes no place of what is whole") {
  const ChainOfSix studio;
  for (const std::uint64_t id : {5, 6})
    open_store(studio.repository)->note(id, Check::kVerified, check_note(false, "spoilt"));
  const Pruning pruning = prune(studio.repository, keep("last=2"));
  CHECK(studio.ids() == Ids{3, 4, 5, 6});
  CHECK(pruning.checkpoints[2].because == std::vector<std::string_view>{"last"});
  CHECK_FALSE(pruning.checkpoints[2].damaged);
  CHECK(pruning.checkpoints[5].damaged);
  for (const std::uint64_t id : {3, 4})
    open_store(studio.repository)->note(id, Check::kVerified, check_note(false, "spoilt"));
  prune(studio.repository, keep("last=2"));  // there is nothing better
  CHECK(studio.ids() == Ids{5, 6});
}

TEST_CASE("a dry run says the same and changes nothing") {
  const ChainOfSix studio;
  PruneOptions options = keep("last=2");
  options.dry_run = true;
  CHECK(prune(studio.repository, options).checkpoints[3].because.empty());
  CHECK(studio.ids() == Ids{1, 2, 3, 4, 5, 6});
}

TEST_CASE("a film goes on from the newest after everything else went") {
  ChainOfSix studio;
  prune(studio.repository, keep("yearly=1"));
  CHECK(studio.ids() == Ids{6});
  CHECK(film::take(studio.repository, studio.last).parent == 6);
  CHECK(film::first_fault(studio.repository) == "");
}

TEST_CASE("only the checkpoints of one machine, where one is named") {
  const ChainOfSix studio;
  PruneOptions options = keep("last=1");
  options.vm = "another";
  CHECK_THROWS_WITH_AS(prune(studio.repository, options), doctest::Contains("no checkpoint of another"), Error);
  CHECK(studio.ids().size() == 6);
  options.vm = "film";
  prune(studio.repository, options);
  CHECK(studio.ids() == Ids{6});
}

TEST_CASE("what cannot be read stays, and so does all that it may build on") {
  const ChainOfSix studio;
  std::ofstream(studio.repository / "00000004" / "checkpoint.json") << "{";
  const Pruning pruning = prune(studio.repository, keep("last=1"));
  CHECK(pruning.unreadable == Ids{4});
  CHECK(studio.ids() == Ids{4, 6});
  CHECK(Repository::open(studio.repository).bases() == Ids{1, 2, 3, 5});
}

TEST_CASE("killed between any two steps, whatever is listed is whole") {
  for (unsigned stop = 1; stop < 40; ++stop) {
    const ChainOfSix studio;
    unsigned steps = 0;
    try {
      prune(studio.repository, keep("last=1,hourly=1"), [&](const Progress&) {
        if (++steps == stop) throw Error("killed");
      });
      break;
    } catch (const Error&) {
      CHECK(film::first_fault(studio.repository) == "");
      prune(studio.repository, keep("last=1"));
      CHECK(studio.ids() == Ids{6});
      CHECK(film::first_fault(studio.repository) == "");
    }
  }
}

}  // namespace tintype
