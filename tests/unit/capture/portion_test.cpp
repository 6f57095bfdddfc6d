// SPDX-License-Identifier: Apache-2.0
// Checkpoints of memory only and of disks only, between whole ones, in one chain.
#include <filesystem>
#include <optional>
#include <random>
#include <vector>

#include <doctest/doctest.h>

#include "checkpoint/capture/live_checkpoint.h"
#include "checkpoint/store/checkpoint_reader.h"
#include "checkpoint/store/export.h"
#include "checkpoint/store/operations.h"
#include "checkpoint/store/verify.h"
#include "tests/support/skip.h"
#include "tests/unit/capture/capture_rig.h"
#include "tests/unit/capture/paper_machine.h"
#include "tests/unit/format/scratch.h"

namespace tintype {

namespace {

/// A machine whose memory and disks change, and a repository in which it is photographed.
class Studio {
 public:
  CheckpointReport take(Portion only, bool full = false) {
    CheckpointOptions options = repository_.options();
    options.only = only;
    options.full = full;
    return checkpointer_.take(options, {});
  }
  void write_memory() {
    fill(machine_.memory(), 4096 * (random_() % 1000), 3 * 4096, static_cast<unsigned>(random_()));
  }
  void write_disks() { machine_.write_disks(filling_ = std::byte(1 + random_() % 255)); }
  /// What the newest checkpoint holds, as far as it holds it, is what there is.
  void check_newest() {
    const CheckpointReader reader(repository_.path(), {});
    const Portion holds = reader.manifest().report.holds;
    if (holds != Portion::kDisks) CHECK(checkpoint_test::content_of(reader.memory()) == copy_of(machine_.memory()));
    if (holds == Portion::kMemory) return;
    for (const char* id : {"disk0", "disk1"})
      CHECK(checkpoint_test::content_of(*reader.disk(id)) == std::vector(8192, filling_));
  }
  const std::filesystem::path& path() const { return repository_.path(); }
  PaperMachine& machine() { return machine_; }

 private:
  const TemporaryRepository repository_;
  PaperMachine machine_;
  Checkpointer checkpointer_{machine_};
  std::mt19937_64 random_{7};
  std::byte filling_{7};
};

}  // namespace

TEST_CASE("a chain of whole checkpoints, of memory only and of disks only: each holds what there was") {
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  Studio studio;
  std::mt19937_64 random(1);
  for (int round = 0; round < 60; ++round) {
    const auto only = std::array{Portion::kAll, Portion::kMemory, Portion::kDisks}[random() % 3];
    const CheckpointReport report = studio.take(only, random() % 8 == 0);
    CHECK(report.holds == only);
    studio.check_newest();
    const auto all = list_checkpoints(studio.path());
    if (random() % 3 == 0) delete_checkpoint(studio.path(), all[random() % all.size()].id);
    if (random() % 8 == 0) std::filesystem::remove_all(studio.path());  // what it builds on is gone
    if (random() % 3 != 0) studio.write_memory();
    if (random() % 3 == 0) studio.write_disks();
  }
  studio.take(Portion::kAll);
  studio.check_newest();
  CHECK(verify_checkpoints(studio.path(), {}, {}).good());
}

TEST_CASE("what a checkpoint does not take is left alone, and costs nothing") {
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  Studio studio;
  CHECK(studio.take(Portion::kAll).parent == 0);
  studio.write_memory();
  studio.write_disks();
  const CheckpointReport memory = studio.take(Portion::kMemory);
  CHECK(memory.parent == 1);
  CHECK(memory.memory.pages_written == 3);
  CHECK(memory.disks.empty());
  const auto before = studio.machine().script().steps().size();
  const CheckpointReport disks = studio.take(Portion::kDisks);
  CHECK(disks.memory.pages_written == 0);
  CHECK(disks.disks.size() == 2);
  const auto steps = studio.machine().script().steps();
  CHECK(std::count(steps.begin() + static_cast<std::ptrdiff_t>(before), steps.end(), "save cpu") == 0);
  const CheckpointReport whole = studio.take(Portion::kAll);
  CHECK(whole.memory.pages_written == 0);  // in the one before last
  CHECK(whole.disks[0].bytes_written == 0);
  studio.check_newest();
}

TEST_CASE("a checkpoint that holds a portion only is good for that, and says so") {
  Studio studio;
  studio.take(Portion::kMemory);
  const CheckpointReader memory(studio.path(), {});
  CHECK_NOTHROW(memory.require(Portion::kMemory));
  CHECK_THROWS_WITH(memory.require(Portion::kAll),
                    "checkpoint 1 holds memory only: a machine is restored from one that was taken without --only");
  CHECK_THROWS_WITH_AS(export_disk(studio.path(), {}, "disk0", studio.path().string() + ".img", {}),
                       "checkpoint 1 holds memory only: choose another with --id", Error);
  studio.take(Portion::kDisks);
  CHECK_THROWS_WITH_AS(export_memory(studio.path(), {}, studio.path().string() + ".img", {}),
                       "checkpoint 2 holds the disks only: choose another with --id", Error);
  CHECK(show_checkpoint_json(studio.path(), 2).find("\"holds\": \"disks\"") != std::string::npos);
}

TEST_CASE("of a machine without disks, memory is all there is; and disks are nothing") {
  Studio studio;
  studio.machine().take_disks_out();
  CHECK(studio.take(Portion::kMemory).holds == Portion::kAll);
  CHECK_THROWS_WITH_AS(studio.take(Portion::kDisks), "paper has no disks: take a checkpoint without --only disks",
                       Error);
}

}  // namespace tintype
