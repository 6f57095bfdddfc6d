// SPDX-License-Identifier: Apache-2.0
// Deleting and merging of checkpoints that build on each other: every one that is listed shows what it must, whatever
// was deleted, and what is kept for that is bounded.
#include "checkpoint/store/tidy.h"

#include <algorithm>
#include <random>
#include <set>

#include <doctest/doctest.h>

#include "checkpoint/format/part_reader.h"
#include "checkpoint/store/operations.h"
#include "tests/unit/store/tidy_film.h"

namespace tintype {
namespace {

using namespace tidy_test;

std::uint64_t bytes_in(const fs::path& directory) {
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

}  // namespace

TEST_CASE("what others build on stays as a base when it is deleted, and goes with the last of them") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r";
  take_chain(repository, 3);
  const Removal first = Repository::open(repository).remove(1);
  CHECK(first.kept_as_base);
  CHECK(first.gone.empty());
  CHECK(ids(repository) == std::vector<std::uint64_t>{2, 3});
  CHECK(bases(repository) == std::vector<std::uint64_t>{1});
  check_all(repository);
  CHECK(verify_checkpoints(repository, std::nullopt).bases == 1);
  CHECK_THROWS_WITH_AS(CheckpointReader(repository, 1), doctest::Contains("holds no checkpoint 1"), Error);
  CHECK(Repository::open(repository).remove(2).kept_as_base);
  check_all(repository);
  const Removal last = Repository::open(repository).remove(3);
  CHECK_FALSE(last.kept_as_base);
  CHECK(last.gone == std::vector<std::uint64_t>{3, 2, 1});
  CHECK(names_in(repository) == std::set<std::string>{".lock", ".last-id-00000003"});
  CHECK(film::take(repository, std::nullopt).id == 4);
}

TEST_CASE("bases are merged into what builds on them: the same checkpoint, with the parent of the last base") {
  for (const Compression codec : {Compression::kNone, Compression::kLz4, Compression::kZstd}) {
    for (const TidyOptions& options : {kAlways, kAlwaysByNames}) {
      const ScratchDirectory scratch;
      const fs::path repository = scratch / "r";
      take_chain(repository, 6, codec);
      const Manifest before = show_checkpoint(repository, 4);
      for (const std::uint64_t id : {2, 3}) Repository::open(repository).remove(id);
      const std::uint64_t bytes = bytes_in(repository);
      const Tidied tidied = tidy_chains(repository, {}, options);
      CHECK(tidied.merged == std::vector<std::uint64_t>{4});
      CHECK(tidied.gone == std::vector<std::uint64_t>{3, 2});
      CHECK(tidied.problems.empty());
      CHECK(bases(repository).empty());
      check_no_leftovers(repository);
      const Manifest after = show_checkpoint(repository, 4);
      CHECK(after.identity == before.identity);
      CHECK(after.time == before.time);
      CHECK(after.parent == 1);
      CHECK(after.parent_identity == show_checkpoint(repository, 1).identity);
      CHECK(bytes_in(repository) < bytes);
      check_all(repository);

      Repository::open(repository).remove(1);
      CHECK(tidy_chains(repository, {}, options).merged == std::vector<std::uint64_t>{4});
      const Manifest root = show_checkpoint(repository, 4);
      CHECK(root.parent == 0);
      CHECK_FALSE(root.parent_identity.has_value());
      CHECK_FALSE(root.find_part("memory")->summary.incremental);
      check_all(repository);
      CHECK(film::take(repository, show_checkpoint(repository, 4)).parent == 4);
      check_all(repository);
    }
  }
}

TEST_CASE("a base with two children stays until one of them has gone") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r";
  const Manifest first = take_chain(repository, 1);
  film::take(repository, first);
  film::take(repository, first);
  Repository::open(repository).remove(1);
  CHECK(tidy_chains(repository, {}, kAlways).merged.empty());
  check_all(repository);
  Repository::open(repository).remove(2);
  CHECK(tidy_chains(repository, {}, kAlways).merged == std::vector<std::uint64_t>{3});
  check_all(repository);
}

TEST_CASE("a parent that is deleted while its child is written stays for it, and goes where that is given up") {
  for (const bool sealed : {true, false}) {
    const ScratchDirectory scratch;
    const fs::path repository = scratch / "r";
    const Manifest parent = take_chain(repository, 2);
    {
      NewCheckpoint wanted{repository, Compression::kNone, parent.machine.memory, parent.machine.disks, 0};
      wanted.parent = ParentRef{parent.id, parent.identity};
      CheckpointWriter writer(wanted);
      CHECK(Repository::open(repository).remove(2).kept_as_base);
      CHECK(tidy_chains(repository, {}, kAlways).merged.empty());
      CHECK_THROWS_AS(film::take(repository, parent), ParentGone);
      writer.write_state({});
      writer.sync();
      Manifest manifest;
      manifest.vm = "film";
      manifest.machine = film::machine();
      manifest.machine.append = parent.machine.append;
      if (sealed) CHECK(writer.seal(manifest).parent == 2);
    }
    tidy_chains(repository, {}, kNever);
    CHECK(bases(repository).size() == (sealed ? 1 : 0));
    check_all(repository);
  }
}

TEST_CASE("nothing that a checkpoint may need is removed while its manifest cannot be read") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r";
  take_chain(repository, 3);
  const fs::path manifest = repository / "00000003" / "checkpoint.json";
  fs::rename(manifest, scratch / "away");
  CHECK(Repository::open(repository).remove(2).kept_as_base);
  Repository::open(repository).remove(1);
  CHECK(tidy_chains(repository, {}, kAlways).gone.empty());
  fs::rename(scratch / "away", manifest);
  check_all(repository);
}

TEST_CASE("a base that is damaged is not merged, and the damage is said") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r";
  take_chain(repository, 3);
  const fs::path part = repository / "00000002" / "memory.part";
  Bytes bytes = read_file(part);
  bytes[5000] ^= std::byte{1};
  write_file(part, bytes);
  Repository::open(repository).remove(2);
  const Tidied tidied = tidy_chains(repository, {}, kAlways);
  CHECK(tidied.merged.empty());
  REQUIRE(tidied.problems.size() == 1);
  CHECK(tidied.problems.front().find("memory.part") != std::string::npos);
  check_no_leftovers(repository);
  std::set<std::uint64_t> damaged;
  for (const Damage& damage : verify_checkpoints(repository, std::nullopt).damages) damaged.insert(damage.id);
  CHECK(damaged == std::set<std::uint64_t>{2, 3});
}

TEST_CASE("merging pays where most of what is merged is not the largest of it, or where there is much of it") {
  const auto pays = [](std::vector<std::uint64_t> bytes) { return merging_pays(bytes); };
  CHECK_FALSE(pays({10, 1000}));
  CHECK_FALSE(pays({10, 480, 1000}));
  CHECK(pays({20, 480, 1000}));
  CHECK(pays({1000, 600}));
  CHECK_FALSE(pays(std::vector<std::uint64_t>(2, 0)) == false);
  std::vector<std::uint64_t> many(66, 1);
  many.back() = 1 << 30;
  CHECK(pays(many));
  many.pop_back();
  many.front() = 1 << 30;
  CHECK_FALSE(pays(many));
}

TEST_CASE("what is kept of a film that goes on and on is bounded, and so is what is written for that") {
  const ScratchDirectory scratch(quick_directory());
  const fs::path repository = scratch / "r";
  std::optional<Manifest> last;
  std::size_t merges = 0, most_bases = 0;
  for (unsigned i = 0; i < 60; ++i) {
    last = film::take(repository, last);
    const auto all = ids(repository);
    if (all.size() > 4) merges += delete_checkpoint(repository, all.front()).merged.size();
    most_bases = std::max(most_bases, bases(repository).size());
  }
  CHECK(ids(repository).size() == 4);
  CHECK(merges > 2);
  CHECK(merges < 50);
  CHECK(most_bases < 20);
  check_all(repository);
}

TEST_CASE("what is newer than the largest is merged by itself, and the largest is not written anew") {
  const ScratchDirectory scratch;
  const fs::path path = scratch / "r";
  std::optional<Manifest> last;
  for (int i = 0; i < 12; ++i) last = film::take(path, last);
  Repository repository = Repository::open(path);
  for (std::uint64_t id = 1; id < 12; ++id) repository.remove(id);
  std::size_t newer = 0, asked = 0;  // of the checkpoint and its bases, newest first, those before the largest
  const auto once = [&](std::span<const std::uint64_t> bytes) {
    if (++asked > 1) return false;
    newer = static_cast<std::size_t>(std::ranges::max_element(bytes) - bytes.begin());
    return true;
  };
  const Tidied tidied = tidy_chains(path, {}, {once, true});
  REQUIRE(newer >= 2);
  CHECK(tidied.merged == std::vector<std::uint64_t>{12});
  CHECK(tidied.gone.size() == newer - 1);
  CHECK(repository.bases().back() == 12 - newer);
  CHECK(repository.bases().size() == 12 - newer);
  CHECK(film::first_fault(path) == "");
  CHECK(tidy_chains(path, {}, kAlways).merged == std::vector<std::uint64_t>{12});
  CHECK(repository.bases().empty());
  CHECK(film::first_fault(path) == "");
}

TEST_CASE("several are deleted at once as they are one by one") {
  std::mt19937 random(1);
  for (int round = 0; round < 10; ++round) {
    const ScratchDirectory scratch;
    const fs::path one = scratch / "one", all = scratch / "all";
    std::optional<Manifest> last;
    for (int i = 0; i < 8; ++i) {
      const bool whole = !last || random() % 4 == 0;
      last = film::take(one, whole ? std::nullopt : last);
    }
    fs::copy(one, all, fs::copy_options::recursive);
    std::vector<std::uint64_t> gone;
    for (std::uint64_t id = 1; id <= 8; ++id)
      if (random() % 2 == 0) gone.push_back(id);
    Repository first = Repository::open(one), second = Repository::open(all);
    for (const std::uint64_t id : gone) first.remove(id);
    second.remove_all(gone);
    second.remove_all(gone);  // what is gone already is passed over
    CHECK(names_in(one) == names_in(all));
    CHECK(film::first_fault(all) == "");
  }
}

}  // namespace tintype
