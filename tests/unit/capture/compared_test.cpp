// SPDX-License-Identifier: Apache-2.0
// A machine whose process has died knows nothing of what was written: the next checkpoint reads everything, and writes
// what differs from the one that is there.
#include <fcntl.h>

#include <random>

#include <doctest/doctest.h>

#include "checkpoint/capture/live_checkpoint.h"
#include "checkpoint/format/part_reader.h"
#include "checkpoint/store/checkpoint_reader.h"
#include "checkpoint/store/operations.h"
#include "checkpoint/store/repository.h"
#include "checkpoint/store/verify.h"
#include "tests/support/skip.h"
#include "tests/unit/capture/capture_rig.h"
#include "tests/unit/capture/paper_machine.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

constexpr std::uint64_t kBytes = 8 << 20;

CheckpointOptions backup_options(const TemporaryRepository& repository) {
  CheckpointOptions options = repository.options(Strategy::kAuto);
  options.find_parent = true;
  return options;
}

std::vector<std::byte> memory_in(const TemporaryRepository& repository, std::uint64_t id) {
  const CheckpointReader reader(repository.path(), id);
  std::vector<std::byte> memory(reader.memory().content_bytes());
  reader.memory().read_blocks(0, memory);
  return memory;
}

bool disks_hold(const TemporaryRepository& repository, std::uint64_t id, std::byte filling) {
  const CheckpointReader reader(repository.path(), id);
  for (const char* disk : {"disk0", "disk1"}) {
    std::vector<std::byte> contents(8192);
    reader.disk(disk)->read_blocks(0, contents);
    if (std::ranges::any_of(contents, [&](std::byte byte) { return byte != filling; })) return false;
  }
  return true;
}

bool knows_nothing_here() { return probe_tracking().tracking == Tracking::kNothing; }

TEST_CASE("the next process of a machine writes what differs, and says that all was read") {
  if (knows_nothing_here()) SKIP_TEST("this host cannot tell what is written");
  const TemporaryRepository repository;
  {
    PaperMachine first;
    Checkpointer(first).take(backup_options(repository), {});
  }
  PaperMachine second;
  REQUIRE(second.memory().store(Gpa(5 * kPageSize + 8), std::uint64_t{77}));
  REQUIRE(second.memory().store(Gpa(1030 * kPageSize + 8), std::uint64_t{78}));
  Checkpointer checkpointer(second);
  const CheckpointReport report = checkpointer.take(backup_options(repository), {});
  CHECK(report.parent == 1);
  CHECK(report.compared);
  CHECK(report.memory.pages_written == 2);
  CHECK(report.disks[0].bytes_written == 0);
  CHECK(memory_in(repository, 2) == copy_of(second.memory()));
  CHECK(disks_hold(repository, 2, std::byte{7}));

  second.write_disks(std::byte{9});
  const CheckpointReport next = checkpointer.take(backup_options(repository), {});
  CHECK(next.parent == 2);
  CHECK_FALSE(next.compared);
  CHECK(next.memory.pages_written == 0);
  CHECK(disks_hold(repository, 3, std::byte{9}));
  CHECK(verify_checkpoints(repository.path(), {}).good());
}

/// Another byte in the data of a part.
void damage(const TemporaryRepository& repository, std::uint64_t id, const std::string& part) {
  const auto path = Repository::open(repository.path()).directory_of(id) / part;
  const PartReader reader(path);
  REQUIRE(!reader.extents().empty());
  const UniqueFd file = open_file(path, O_RDWR);
  std::byte byte{};
  read_exactly(file.get(), {&byte, 1}, reader.extents().front().offset, part);
  byte ^= std::byte{1};
  write_exactly(file.get(), {&byte, 1}, reader.extents().front().offset, part);
}

TEST_CASE("where what is there is damaged all is written anew, and the film goes on") {
  if (knows_nothing_here()) SKIP_TEST("this host cannot tell what is written");
  const TemporaryRepository repository;
  {
    PaperMachine first;
    Checkpointer(first).take(backup_options(repository), {});
  }
  PaperMachine second;
  Checkpointer checkpointer(second);
  SUBCASE("in memory") { damage(repository, 1, "memory.part"); }
  SUBCASE("in a disk, which is seen late") {
    damage(repository, 1, "disk0.part");
    CHECK_THROWS_AS(checkpointer.take(backup_options(repository), {}), ImageError);
    CHECK(second.at_rest());
  }
  SUBCASE("and somebody has seen that") {
    damage(repository, 1, "disk1.part");
    note_verification(repository.path(), {}, verify_checkpoints(repository.path(), {}));
  }
  const CheckpointReport report = checkpointer.take(backup_options(repository), {});
  CHECK(report.parent == 0);
  CHECK_FALSE(report.compared);
  REQUIRE(second.memory().store(Gpa(5 * kPageSize + 8), std::uint64_t{77}));
  const CheckpointReport next = checkpointer.take(backup_options(repository), {});
  CHECK(next.parent == report.id);
  CHECK(next.memory.pages_written == 1);
  CHECK(memory_in(repository, next.id) == copy_of(second.memory()));
  CHECK(disks_hold(repository, next.id, std::byte{7}));
}

TEST_CASE("nothing more is built on what verifying has shown to be damaged") {
  if (knows_nothing_here()) SKIP_TEST("this host cannot tell what is written");
  const TemporaryRepository repository;
  PaperMachine machine;
  Checkpointer checkpointer(machine);
  checkpointer.take(repository.options(Strategy::kAuto), {});
  CHECK(checkpointer.take(repository.options(Strategy::kAuto), {}).parent == 1);
  damage(repository, 1, "memory.part");
  CHECK(checkpointer.take(repository.options(Strategy::kAuto), {}).parent == 2);  // nobody has looked
  note_verification(repository.path(), {}, verify_checkpoints(repository.path(), {}));
  const CheckpointReport whole = checkpointer.take(repository.options(Strategy::kAuto), {});
  CHECK(whole.parent == 0);
  CHECK(checkpointer.take(repository.options(Strategy::kAuto), {}).parent == whole.id);
  CHECK(memory_in(repository, whole.id) == copy_of(machine.memory()));
}

TEST_CASE("pages that the new process never touched are zero again, and not what they were") {
  if (knows_nothing_here()) SKIP_TEST("this host cannot tell what is written");
  const TemporaryRepository repository;
  {
    PaperMachine first;
    Checkpointer(first).take(backup_options(repository), {});
  }
  PaperMachine second(std::make_shared<Script>(), kBytes, 16);  // all but the first pages are absent
  Checkpointer checkpointer(second);
  const CheckpointReport report = checkpointer.take(backup_options(repository), {});
  CHECK(report.compared);
  CHECK(memory_in(repository, report.id) == copy_of(second.memory()));
}

TEST_CASE("a disk that was written to by nobody we know is compared") {
  if (knows_nothing_here()) SKIP_TEST("this host cannot tell what is written");
  const TemporaryRepository repository;
  {
    PaperMachine first;
    Checkpointer(first).take(backup_options(repository), {});
  }
  PaperMachine second;
  second.write_disks(std::byte{0});
  Checkpointer checkpointer(second);
  const CheckpointReport report = checkpointer.take(backup_options(repository), {});
  CHECK(report.parent == 1);
  CHECK(disks_hold(repository, report.id, std::byte{0}));
}

TEST_CASE("nothing is compared with another machine's, or where nobody asked for it") {
  const TemporaryRepository repository;
  {
    PaperMachine first;
    Checkpointer(first).take(backup_options(repository), {});
  }
  PaperMachine larger(std::make_shared<Script>(), 2 * kBytes);
  CHECK(Checkpointer(larger).take(backup_options(repository), {}).parent == 0);
  PaperMachine same;
  CHECK(Checkpointer(same).take(repository.options(Strategy::kAuto), {}).parent == 0);
}

TEST_CASE("what is written while it is compared, by many threads, is torn nowhere") {
  if (knows_nothing_here()) SKIP_TEST("this host cannot tell what is written");
  const TemporaryRepository repository;
  {
    PaperMachine first;
    Checkpointer(first).take(backup_options(repository), {});
  }
  PaperMachine second;
  Checkpointer checkpointer(second);
  for (unsigned round = 0; round < 3; ++round) {
    std::uint64_t id = 0;
    {
      Scribblers scribblers(second.memory(), 3);
      id = checkpointer.take(backup_options(repository), {}).id;
    }
    CheckpointReport still = checkpointer.take(backup_options(repository), {});
    CHECK(still.parent == id);
    CHECK(memory_in(repository, still.id) == copy_of(second.memory()));
  }
  CHECK(verify_checkpoints(repository.path(), {}).good());
}

}  // namespace
}  // namespace tintype
