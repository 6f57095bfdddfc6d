// SPDX-License-Identifier: Apache-2.0
// The same in any order, beside readers, and when whoever deletes and merges is killed or stopped.
#include <signal.h>
#include <unistd.h>

#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/store/operations.h"
#include "tests/unit/store/tidy_film.h"

namespace tintype {
namespace {

using namespace tidy_test;

/// Runs `work` in a process of its own, with a sink that kills it at its call number `calls`. False where it came to
/// its end before.
template <typename Work>
bool killed_at(unsigned calls, Work work) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    unsigned left = calls;
    work([&](const Progress&) {
      if (left-- == 0) ::kill(::getpid(), SIGKILL);
    });
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  if (!WIFSIGNALED(status)) REQUIRE(WEXITSTATUS(status) == 0);
  return WIFSIGNALED(status);
}

}  // namespace

TEST_CASE("two hundred checkpoints, written, deleted and merged in any order, show what they must") {
  const ScratchDirectory scratch(quick_directory());
  const fs::path repository = scratch / "r";
  const auto known = std::make_shared<KnownManifests>();
  std::mt19937 random(7);
  for (unsigned i = 0; i < rounds(200); ++i) {
    const auto all = i == 0 ? std::vector<std::uint64_t>() : ids(repository);
    std::optional<Manifest> parent;
    if (!all.empty() && random() % 20 != 0)
      parent = show_checkpoint(repository, random() % 8 == 0 ? all[random() % all.size()] : all.back());
    film::take(repository, parent, static_cast<Compression>(random() % 3), i % 5 == 0 ? nullptr : known);
    if (random() % 3 != 0) {
      const auto now = ids(repository);
      Repository::open(repository).remove(now[random() % now.size()]);
    }
    if (random() % 4 == 0) tidy_chains(repository, {}, random() % 2 == 0 ? kAlways : kAlwaysByNames);
    if (random() % 4 == 0) tidy_chains(repository);
    if (i % 20 == 19) REQUIRE(film::first_fault(repository) == "");
  }
  check_all(repository);
  tidy_chains(repository, {}, kAlways);
  check_all(repository);
  for (const std::uint64_t id : ids(repository)) Repository::open(repository).remove(id);
  CHECK(bases(repository).empty());
}

TEST_CASE("killed between any two steps, every checkpoint that is listed shows what it must, and the next one tidies") {
  for (const TidyOptions& options : {kAlways, kAlwaysByNames}) {
    const ScratchDirectory scratch(quick_directory());
    take_chain(scratch / "first", 5);
    for (const std::uint64_t id : {2, 3}) Repository::open(scratch / "first").remove(id);
    unsigned kills = 0;
    for (bool killed = true; killed; ++kills) {
      CAPTURE(kills);
      const fs::path repository = scratch / fmt::format("r{}", kills);
      fs::copy(scratch / "first", repository, fs::copy_options::recursive);
      killed = killed_at(kills, [&](const ProgressSink& sink) {
        Repository::open(repository).remove(1, sink);
        tidy_chains(repository, sink, options);
      });
      const auto listed = ids(repository);
      CHECK(std::ranges::includes(listed, std::vector<std::uint64_t>{4, 5}));
      check_all(repository);
      Repository::open(repository).remove(listed.front());  // 1, or 4 where that is gone
      film::take(repository, show_checkpoint(repository, 5));
      tidy_chains(repository, {}, options);
      check_no_leftovers(repository);
      CHECK(bases(repository).size() < 3);
      check_all(repository);
      fs::remove_all(repository);
    }
    CHECK(kills > 10);
  }
}

TEST_CASE("killed at any instant while it writes, deletes and merges, the same") {
  const ScratchDirectory scratch(quick_directory());
  const fs::path repository = scratch / "r";
  take_chain(repository, 2);
  std::mt19937 random(3);
  for (unsigned round = 0; round < rounds(25); ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      const auto known = std::make_shared<KnownManifests>();
      for (;;) {
        film::take(repository, show_checkpoint(repository, std::nullopt), Compression::kNone, known);
        const auto all = ids(repository);
        if (all.size() > 5) Repository::open(repository).remove(all[all.size() % 3]);
        tidy_chains(repository, {}, all.size() % 2 == 0 ? kAlways : kAlwaysByNames);
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 60000));
    ::kill(child, SIGKILL);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    const std::string fault = film::first_fault(repository);
    REQUIRE(fault == "");
  }
  film::take(repository, show_checkpoint(repository, std::nullopt));
  check_all(repository);
  check_no_leftovers(repository);
}

TEST_CASE("who reads or verifies while others delete and merge gets what he asked for") {
  const ScratchDirectory scratch(quick_directory());
  const fs::path repository = scratch / "r";
  take_chain(repository, 4);
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (unsigned i = 0; i < rounds(60); ++i) {
      film::take(repository, show_checkpoint(repository, std::nullopt));
      Repository::open(repository).remove(ids(repository).front());
      tidy_chains(repository, {}, i % 2 == 0 ? kAlways : kNever);
    }
    done = true;
  });
  unsigned read = 0;
  std::string wrong;
  while (!done && wrong.empty()) {
    const auto all = ids(repository);
    const std::string fault = film::fault(repository, all[read % all.size()]);
    if (!fault.empty() && fault.find("holds no checkpoint") == std::string::npos) wrong = fault;
    if (++read % 8 == 0) {
      const Verification result = verify_checkpoints(repository, std::nullopt);
      if (!result.good()) wrong = result.damages.front().reason;
    }
  }
  writer.join();
  CHECK(wrong == "");
  CHECK(read > 0);
  check_all(repository);
}

TEST_CASE("a checkpoint that is open can be read to its end though it is merged meanwhile") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r";
  take_chain(repository, 3);
  film::Picture picture;
  for (const std::uint64_t id : {1, 2, 3}) film::apply(id, picture);
  const CheckpointReader reader(repository, 3);
  for (const std::uint64_t id : {1, 2}) Repository::open(repository).remove(id);
  CHECK(tidy_chains(repository, {}, kAlways).merged == std::vector<std::uint64_t>{3});
  CHECK(content_of(reader.memory()) == picture.memory);
  CHECK(content_of(*reader.disk("disk0")) == picture.disk);
}

TEST_CASE("a sink that throws ends a merge, and nothing is left of it") {
  const ScratchDirectory scratch(quick_directory());
  const fs::path repository = scratch / "r";
  take_chain(repository, 3);
  Repository::open(repository).remove(2);
  struct Stop {};
  for (unsigned calls = 0;; ++calls) {
    CAPTURE(calls);
    unsigned left = calls;
    try {
      tidy_chains(
          repository,
          [&](const Progress&) {
            if (left-- == 0) throw Stop();
          },
          kAlways);
      break;
    } catch (const Stop&) {
    }
    check_all(repository);
    for (const std::string& name : names_in(repository)) CHECK_FALSE(name.starts_with(".merge"));
    if (bases(repository).empty()) break;
  }
  check_all(repository);
}

}  // namespace tintype
