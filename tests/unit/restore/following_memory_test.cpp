// SPDX-License-Identifier: Apache-2.0
// Memory that becomes one checkpoint after the other.
#include "checkpoint/restore/following_memory.h"

#include <random>

#include <doctest/doctest.h>

#include "tests/unit/store/film.h"

namespace tintype {
namespace {

using namespace checkpoint_test;
namespace fs = std::filesystem;
using Effort = FollowingMemory::Effort;

/// What is wrong with memory; nothing: it is as that checkpoint has it, and zero behind.
std::string fault(const GuestMemory& memory, const Manifest& manifest) {
  film::Picture picture;
  for (const std::uint64_t id : film::ids_in(manifest.machine.append)) film::apply(id, picture);
  picture.memory.resize(memory.size());
  const std::byte* const host = memory.regions().front().host;
  for (std::uint64_t page = 0; page < memory.pages(); ++page) {
    const auto here = std::span(host, memory.size()).subspan(page * kPageSize, kPageSize);
    if (!std::ranges::equal(here, block_of(picture.memory, page)))
      return fmt::format("page {} is not as checkpoint {} has it", page, manifest.id);
  }
  return {};
}

struct Stage {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r";
  GuestMemory memory{kMinimumMemory};
  FollowingMemory following{memory};
  std::vector<Manifest> taken;

  const Manifest& take(bool whole = false) {
    const bool first = taken.empty() || whole;
    taken.push_back(film::take(repository, first ? std::nullopt : std::optional(taken.back())));
    return taken.back();
  }
  bool follow(const Manifest& manifest, Effort effort = Effort::kAll) {
    return following.follow(Repository::open(repository), manifest.id, effort);
  }
};

}  // namespace

TEST_CASE("memory follows each checkpoint, or some of them, whatever became zero meanwhile") {
  Stage stage;
  std::mt19937 random(1);
  for (int i = 0; i < 60; ++i) {
    const Manifest& manifest = stage.take(i > 0 && random() % 15 == 0);
    if (random() % 3 == 0) continue;
    CHECK(stage.follow(manifest));
    CHECK(fault(stage.memory, manifest) == "");
    CHECK(stage.following.identity() == manifest.identity);
  }
}

TEST_CASE("the same one again changes nothing, and one before it is loaded as a whole") {
  Stage stage;
  const Manifest first = stage.take(), second = stage.take();
  CHECK(stage.follow(second));
  CHECK(stage.follow(second, Effort::kLittle));
  CHECK(fault(stage.memory, second) == "");
  CHECK_FALSE(stage.follow(first, Effort::kLittle));
  CHECK(fault(stage.memory, second) == "");
  CHECK(stage.follow(first));
  CHECK(fault(stage.memory, first) == "");
}

TEST_CASE("with little effort the first one is not loaded, nor one that holds everything") {
  Stage stage;
  const Manifest first = stage.take();
  CHECK_FALSE(stage.follow(first, Effort::kLittle));
  CHECK(stage.following.identity().empty());
  CHECK(stage.follow(first));
  CHECK_FALSE(stage.follow(stage.take(true), Effort::kLittle));
  CHECK(fault(stage.memory, first) == "");
  CHECK(stage.follow(stage.taken.back()));
  CHECK(fault(stage.memory, stage.taken.back()) == "");
}

TEST_CASE("what was followed may be deleted, and merged") {
  Stage stage;
  stage.take();
  CHECK(stage.follow(stage.taken.back()));
  for (int i = 0; i < 12; ++i) stage.take();
  Repository repository = Repository::open(stage.repository);
  for (std::size_t i = 0; i + 1 < stage.taken.size(); ++i) repository.remove(stage.taken[i].id);
  CHECK(stage.follow(stage.taken.back()));
  CHECK(fault(stage.memory, stage.taken.back()) == "");
  const Manifest& last = stage.take();
  tidy_chains(repository);
  CHECK(stage.follow(last));
  CHECK(fault(stage.memory, last) == "");
}

TEST_CASE("a damaged one leaves memory as nothing, and the next one that is whole is there again") {
  Stage stage;
  stage.take();
  CHECK(stage.follow(stage.taken.back()));
  const Manifest second = stage.take();
  const fs::path part = Repository::open(stage.repository).directory_of(second.id) / "memory.part";
  const Bytes sound = read_file(part);
  Bytes damaged = sound;
  damaged[4096] ^= std::byte{1};  // in the first extent
  write_file(part, damaged);
  CHECK_THROWS_AS(stage.follow(second), ImageError);
  CHECK(stage.following.identity().empty());
  CHECK_FALSE(stage.follow(second, Effort::kLittle));
  CHECK_THROWS_AS(stage.follow(second), ImageError);
  CHECK(stage.follow(stage.taken.front()));
  CHECK(fault(stage.memory, stage.taken.front()) == "");
  write_file(part, sound);
  CHECK(stage.follow(second, Effort::kLittle));
  CHECK(fault(stage.memory, second) == "");
}

TEST_CASE("a whole load that is ended leaves memory as nothing") {
  Stage stage;
  stage.take();
  const auto end = [](const Progress&) { throw Error("ended"); };
  CHECK_THROWS_AS(stage.following.follow(Repository::open(stage.repository), 1, Effort::kAll, end), Error);
  CHECK(stage.following.identity().empty());
  CHECK(stage.follow(stage.taken.back()));
  CHECK(fault(stage.memory, stage.taken.back()) == "");
}

}  // namespace tintype
