// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/repository.h"

#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <sys/mount.h>
#include <sys/wait.h>

#include <mutex>
#include <set>
#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/store/operations.h"
#include "checkpoint/store/verify.h"
#include "tests/support/skip.h"
#include "tests/unit/store/sample_checkpoint.h"

namespace tintype {
namespace {

using namespace checkpoint_test;
namespace fs = std::filesystem;

/// Runs `work` in a process of its own that is then killed by SIGKILL, at the point where `work` returns.
template <typename Work>
void killed_after(Work work) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    work();
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
}

/// False where a writer was killed before there was a repository: there is no directory, or an empty one.
bool has_repository(const fs::path& path) {
  if (!fs::exists(path)) return false;
  if (fs::exists(path / ".lock")) return true;
  CHECK(fs::is_empty(path));
  return false;
}

/// Runs `work` on a file system of one MiB, in a process of its own, where only it sees that. Returns its
/// exit status, or nothing where this system lets nobody mount anything.
template <typename Work>
std::optional<int> on_small_file_system(const fs::path& mount_point, Work work) {
  constexpr int kCannotMount = 77;
  fs::create_directory(mount_point);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const int spaces = CLONE_NEWNS | (::geteuid() == 0 ? 0 : CLONE_NEWUSER);
    if (::unshare(spaces) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", mount_point.c_str(), "tmpfs", 0, "size=1m") != 0) {
      ::_exit(kCannotMount);
    }
    ::_exit(work());
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kCannotMount) return std::nullopt;
  return WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("a destination that is a file, or lies under one, is refused in one sentence") {
  const ScratchDirectory scratch;
  write_file(scratch / "file", noise(1, 1));
  CHECK_THROWS_WITH_AS(Repository::create(scratch / "file"), doctest::Contains("is not a directory"), Error);
  CHECK_THROWS_AS(Repository::create(scratch / "file" / "below"), Error);
  CHECK_THROWS_WITH_AS(Repository::create("/proc/tintype"), doctest::Contains("cannot be created"), Error);
  CHECK_THROWS_AS(Repository::create("/proc"), Error);
  CHECK(read_file(scratch / "file") == noise(1, 1));
}

TEST_CASE("a destination without room is refused before anything is written") {
  const ScratchDirectory scratch;
  NewCheckpoint options{scratch / "r", Compression::kNone, kMemoryBlocks * kBlockSize, {}, 1ULL << 60};
  CHECK_THROWS_WITH_AS(CheckpointWriter{options}, doctest::Contains("MiB free"), DestinationFull);
  CHECK_FALSE(fs::exists(scratch / "r"));
}

TEST_CASE("a destination that fills up half-way leaves no checkpoint, and the error says what to do") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "small" / "r";
  const auto fill_up = [&](Compression compression) {
    try {
      NewCheckpoint options{repository, compression, 4 << 20, {}, 0};
      CheckpointWriter writer(options);
      writer.memory_part().append(0, noise(1024, 1));
      return 1;
    } catch (const DestinationFull& error) {
      const std::string_view text = error.what();
      if (text.find("memory.part") == text.npos || text.find("make room") == text.npos) return 2;
    }
    if (fs::exists(repository)) return 3;
    write_sample(repository, 1);  // the room is free again
    return verify_checkpoints(repository, 1).good() ? 0 : 4;
  };
  for (const Compression compression : {Compression::kNone, Compression::kLz4}) {
    const auto status = on_small_file_system(scratch / "small", [&] { return fill_up(compression); });
    if (!status) SKIP_TEST("this system lets nobody mount a file system");
    CHECK(*status == 0);
  }
}

TEST_CASE("a destination too full for the state or the manifest leaves no checkpoint") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "small" / "r";
  const auto fill_up = [&](std::size_t memory_blocks) {
    try {
      NewCheckpoint options{repository, Compression::kNone, 4 << 20, {}, 0};
      CheckpointWriter writer(options);
      writer.memory_part().append(0, noise(memory_blocks, 1));
      writer.write_state(sample_states(1));
      writer.sync();
      Manifest manifest;
      manifest.vm = "small";
      manifest.machine.memory = 4 << 20;
      manifest.machine.regions = {{0, 4 << 20, 0}};
      writer.seal(manifest);
      return verify_checkpoints(repository, 1).good() ? 0 : 1;
    } catch (const DestinationFull&) {
      return fs::exists(repository) ? 3 : 2;
    }
  };
  int sealed = 0, refused = 0;
  for (std::size_t blocks = 245; blocks <= 256; ++blocks) {
    CAPTURE(blocks);
    const auto status = on_small_file_system(scratch / "small", [&] { return fill_up(blocks); });
    if (!status) SKIP_TEST("this system lets nobody mount a file system");
    sealed += *status == 0 ? 1 : 0;
    refused += *status == 2 ? 1 : 0;
    CHECK((*status == 0 || *status == 2));
  }
  CHECK(sealed > 0);
  CHECK(refused > 3);
}

TEST_CASE("where the repository is removed while a checkpoint is written, the error says that") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r";
  const auto removed = doctest::Contains((repository.string() + " was removed while").c_str());
  SUBCASE("before the state") {
    CheckpointWriter writer(NewCheckpoint{repository, Compression::kNone, 4 << 20, {}, 0});
    fs::remove_all(repository);
    CHECK_THROWS_WITH_AS(writer.write_state(sample_states(1)), removed, Error);
  }
  SUBCASE("before the seal") {
    const auto writer = written_sample(repository, 1, Compression::kNone);
    writer->sync();
    fs::remove_all(repository);
    CHECK_THROWS_WITH_AS(writer->seal(sample_manifest()), removed, Error);
  }
  CHECK_FALSE(fs::exists(repository));
}

TEST_CASE("what a killed writer left is no checkpoint, and is gone when the next one begins") {
  const ScratchDirectory scratch;
  write_sample(scratch / "r", 1);
  killed_after([&] { written_sample(scratch / "r", 2, Compression::kNone).release(); });
  CHECK(names_in(scratch / "r").contains(".tmp-00000002"));
  CHECK(list_checkpoints(scratch / "r").size() == 1);
  CHECK(verify_checkpoints(scratch / "r", std::nullopt).good());
  write_sample(scratch / "r", 3);
  CHECK(names_in(scratch / "r") == std::set<std::string>{".lock", "00000001", "00000002"});
}

TEST_CASE("a writer killed at any instant leaves whole checkpoints only") {
  const ScratchDirectory scratch;
  std::mt19937 random(1);
  std::size_t most = 0;
  // On a busy machine few get as far as one checkpoint in that time: then more rounds, each allowed a little
  // longer.
  for (unsigned round = 0; round < rounds(25) || (most == 0 && round < 500); ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      for (unsigned seed = 0;; ++seed) write_sample(scratch / "r", seed);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % (20000 + 1000 * round)));
    ::kill(child, SIGKILL);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    if (!has_repository(scratch / "r")) continue;
    most = std::max(most, list_checkpoints(scratch / "r").size());
    const Verification result = verify_checkpoints(scratch / "r", std::nullopt);
    if (!result.good()) FAIL_CHECK(result.damages.front().reason);
  }
  CHECK(most > 0);
}

TEST_CASE("a writer that is still at work is not taken for a dead one") {
  const ScratchDirectory scratch;
  const auto slow = written_sample(scratch / "r", 1, Compression::kNone);
  write_sample(scratch / "r", 2);
  slow->sync();
  CHECK(slow->seal(sample_manifest()).id == 1);
  CHECK(list_checkpoints(scratch / "r").size() == 2);
  CHECK(verify_checkpoints(scratch / "r", std::nullopt).good());
}

TEST_CASE("machines that write at the same time never get the same id") {
  const ScratchDirectory scratch;
  std::mutex mutex;
  std::set<std::uint64_t> ids;
  {
    std::vector<std::jthread> machines;
    for (unsigned machine = 0; machine < 6; ++machine) {
      machines.emplace_back([&, machine] {
        for (int i = 0; i < 5; ++i) {
          const std::uint64_t id = write_sample(scratch / "r", machine).id;
          const std::scoped_lock lock(mutex);
          if (!ids.insert(id).second) FAIL_CHECK("id ", id, " was given twice");
        }
      });
    }
  }
  CHECK(ids.size() == 30);
  CHECK(*ids.rbegin() == 30);
  CHECK(verify_checkpoints(scratch / "r", std::nullopt).good());
}

TEST_CASE("an id is never used again, whichever checkpoints were deleted") {
  const ScratchDirectory scratch;
  for (unsigned i = 1; i <= 3; ++i) write_sample(scratch / "r", i);
  delete_checkpoint(scratch / "r", 3);
  CHECK(write_sample(scratch / "r", 4).id == 4);
  delete_checkpoint(scratch / "r", 4);
  delete_checkpoint(scratch / "r", 1);
  CHECK(Repository::open(scratch / "r").resolve(std::nullopt) == 2);
  CHECK(write_sample(scratch / "r", 5).id == 5);
  CHECK(verify_checkpoints(scratch / "r", std::nullopt).good());
}

TEST_CASE("deleting a checkpoint leaves the others whole, and deleting what is not there says so") {
  const ScratchDirectory scratch;
  for (unsigned i = 1; i <= 3; ++i) write_sample(scratch / "r", i);
  delete_checkpoint(scratch / "r", 2);
  CHECK(Repository::open(scratch / "r").ids() == std::vector<std::uint64_t>{1, 3});
  CHECK(verify_checkpoints(scratch / "r", std::nullopt).good());
  CHECK_THROWS_WITH_AS(delete_checkpoint(scratch / "r", 2), doctest::Contains("holds no checkpoint 2"), Error);
}

TEST_CASE("a deletion that was cut short is finished by the next checkpoint, and never shows") {
  const ScratchDirectory scratch;
  write_sample(scratch / "r", 1);
  write_sample(scratch / "r", 2);
  fs::rename(scratch / "r" / "00000001", scratch / "r" / ".deleted-00000001");
  CHECK(Repository::open(scratch / "r").ids() == std::vector<std::uint64_t>{2});
  CHECK(write_sample(scratch / "r", 3).id == 3);
  CHECK_FALSE(names_in(scratch / "r").contains(".deleted-00000001"));
}

TEST_CASE("a repository named with a slash at its end is the same repository, for its owner's eyes too") {
  const ScratchDirectory scratch;
  CHECK(write_sample((scratch / "r").string() + "/", 1).report.repository == (scratch / "r").string());
  CHECK(write_sample(scratch / "r", 2).id == 2);
  CHECK(fs::status(scratch / "r").permissions() == fs::perms::owner_all);
  CHECK_THROWS_AS(Repository::create(""), Error);
  CHECK_THROWS_AS(Repository::open(""), Error);
}

TEST_CASE("names that only look like a checkpoint's are not taken for one") {
  const ScratchDirectory scratch;
  write_sample(scratch / "r", 1);
  for (const char* name :
       {"1", "0000002", "00000000", "000000003", "0000000x", "lost+found", "99999999999999999999999"}) {
    fs::create_directory(scratch / "r" / name);
  }
  CHECK(Repository::open(scratch / "r").ids() == std::vector<std::uint64_t>{1});
  CHECK(write_sample(scratch / "r", 2).id == 2);
}

TEST_CASE("what is in a checkpoint is for its owner's eyes") {
  const ScratchDirectory scratch;
  write_sample(scratch / "r", 1);
  const auto mode = [&](const fs::path& path) { return fs::status(path).permissions(); };
  CHECK(mode(scratch / "r") == fs::perms::owner_all);
  CHECK(mode(scratch / "r" / "00000001") == fs::perms::owner_all);
  CHECK(mode(scratch / "r" / "00000001" / "memory.part") == (fs::perms::owner_read | fs::perms::owner_write));
}

}  // namespace tintype
