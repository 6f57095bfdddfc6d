// SPDX-License-Identifier: Apache-2.0
// What a destination is asked for before the pause, and what it refuses then.
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "checkpoint/capture/live_checkpoint.h"
#include "tests/support/skip.h"
#include "tests/support/small_file_system.h"
#include "tests/unit/capture/capture_rig.h"
#include "tests/unit/capture/paper_machine.h"

namespace tintype {

TEST_CASE("the destination is asked for room before the pause: for what is resident and allocated") {
  const TemporaryRepository repository;
  PaperMachine machine;
  CaptureMeans means;
  std::uint64_t expected = 0;
  means.open_target = [&](const NewCheckpoint& wanted) -> std::unique_ptr<CheckpointTarget> {
    expected = wanted.expected_bytes;
    throw DestinationFull("no room");
  };
  Checkpointer checkpointer(machine, means);
  CHECK_THROWS_AS(checkpointer.take(repository.options(), {}), DestinationFull);
  CHECK(expected >= machine.memory().size() + 2 * 8192);
  CHECK(expected < machine.memory().size() + (1 << 20));
  CHECK(std::ranges::count(machine.script().steps(), "pause") == 0);
  CHECK(machine.at_rest());
}

TEST_CASE("an incremental checkpoint is refused only what cannot fit, and says what it may come to need") {
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  const TemporaryRepository repository;
  PaperMachine machine;
  CaptureMeans means;
  NewCheckpoint asked;
  means.open_target = [&](const NewCheckpoint& wanted) -> std::unique_ptr<CheckpointTarget> {
    asked = wanted;
    return std::make_unique<CheckpointWriter>(wanted);
  };
  Checkpointer checkpointer(machine, means);
  CheckpointOptions options = repository.options();
  constexpr std::uint64_t kLittle = 64 << 10;
  checkpointer.take(options, {});
  REQUIRE(machine.memory().store(Gpa(kHugePageSize + 8), std::uint64_t{1}));
  machine.write_disks(std::byte{9});
  checkpointer.take(options, {});
  REQUIRE(asked.parent);
  CHECK(asked.expected_bytes > 0);
  CHECK(asked.expected_bytes < kLittle);
  CHECK(asked.most_bytes >= kHugePageSize + 2 * 8192);
  CHECK(asked.most_bytes < kHugePageSize + 2 * 8192 + kLittle);
  checkpointer.take(options, {});
  CHECK(asked.most_bytes < kLittle);
  options.full = true;
  options.compression = Compression::kLz4;
  checkpointer.take(options, {});
  CHECK(asked.expected_bytes < kLittle);
  CHECK(asked.most_bytes >= machine.memory().size() + 2 * 8192);
}

TEST_CASE("a destination that is too small refuses an incremental checkpoint before the pause, or is a concern") {
  if (::geteuid() != 0) SKIP_TEST("mounting a file system needs root");
  const TemporaryRepository repository;
  const test::SmallFileSystem small(repository.path() / "small", "12m");
  if (!small.mounted()) SKIP_TEST("this host does not let us mount a file system");
  PaperMachine machine;
  CaptureMeans means;
  std::string concern;
  means.open_target = [&](const NewCheckpoint& wanted) {
    auto target = std::make_unique<CheckpointWriter>(wanted);
    concern = target->concern();
    return target;
  };
  Checkpointer checkpointer(machine, means);
  CheckpointOptions options = repository.options();
  options.repository = repository.path() / "small";
  checkpointer.take(options, {});
  CHECK(concern.empty());
  for (std::uint64_t at = 0; at < machine.memory().size(); at += kHugePageSize)
    REQUIRE(machine.memory().store(Gpa(at), ~at));
  checkpointer.take(options, {});  // all chunks, but a page of each
  CHECK(concern.find("may come to need") != std::string::npos);
  {
    std::ofstream filling(repository.path() / "small" / "filling");
    const std::vector<char> much(16 << 20, 'x');
    filling.write(much.data(), static_cast<std::streamsize>(much.size()));
  }
  const auto pauses = std::ranges::count(machine.script().steps(), "pause");
  CHECK_THROWS_AS(checkpointer.take(options, {}), DestinationFull);
  CHECK(std::ranges::count(machine.script().steps(), "pause") == pauses);
  CHECK(machine.at_rest());
}

}  // namespace tintype
