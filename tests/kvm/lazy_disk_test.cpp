// SPDX-License-Identifier: Apache-2.0
// A machine that runs before its disks have been read: photographed meanwhile, killed meanwhile, and on disks that are
// never whole.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <random>
#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/store/checkpoint_reader.h"
#include "tests/kvm/ledger_verdict.h"
#include "tests/support/becomes_true.h"
#include "tests/support/rounds.h"
#include "tests/support/skip.h"
#include "tests/support/slow_source.h"
#include "tests/support/small_file_system.h"
#include "tests/support/tintype_process.h"
#include "vmm/base/image_note.h"
#include "vmm/base/io.h"
#include "vmm/machine/machine.h"

namespace tintype::test {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

/// A checkpoint of a guest that writes matching records to memory and two disks.
struct Fixture {
  explicit Fixture(const std::string& mode = {}) {
    fs::create_directory(disks);
    MachineProcess machine({"run", "--name", "ledger", "--kernel", guest_image("ledger"), "--memory", "32M", "--append",
                            "mb=2", "--cpus", "2", "--disk", directory.blank_image("a.img", 8 << 20).string() + mode,
                            "--disk", directory.blank_image("b.img", 8 << 20)});
    REQUIRE(machine.wait_for("LEDGER RUN"));
    std::this_thread::sleep_for(300ms);
    REQUIRE(tintype({"checkpoint", "ledger", "--to", repository}).exit_code == 0);
    machine.kill();
  }

  std::unique_ptr<Machine> restore(std::chrono::milliseconds delay) const {
    return restore([delay](std::shared_ptr<const BlockSource> source) {
      return std::make_shared<SlowSource>(std::move(source), delay);
    });
  }
  std::unique_ptr<Machine> restore(
      const std::function<std::shared_ptr<const BlockSource>(std::shared_ptr<const BlockSource>)>& wrap) const {
    RestoreOptions options;
    options.repository = repository;
    options.name = "slow";
    options.disk_directory = disks;
    options.serial = {SerialKind::kFile, serial};
    options.wrap_disk = wrap;
    return restore_machine(options, {});
  }

  /// What the checkpoint has of a disk.
  std::string saved(const std::string& disk) const {
    const fs::path file = directory / (disk + ".raw");
    REQUIRE(tintype({"export", repository, "--id", "1", "--disk", disk + "=" + file.string()}).exit_code == 0);
    return read_text_file(file, 1 << 30);
  }
  fs::path image(int number) const { return disks / ("slow-disk" + std::to_string(number) + ".img"); }

  TestDirectory directory;
  fs::path repository = directory / "repository", disks = directory / "disks", serial = directory / "serial.log";
};

/// Another source, whose reads fail while that is wanted.
class FailingSource final : public ForwardedSource {
 public:
  FailingSource(std::shared_ptr<const BlockSource> source, std::shared_ptr<const std::atomic<bool>> fails)
      : ForwardedSource(std::move(source)), fails_(std::move(fails)) {}

 private:
  void before_read(std::size_t) const override {
    if (*fails_) throw ImageError("the device has gone");
  }

  const std::shared_ptr<const std::atomic<bool>> fails_;
};

void take(Machine& machine, const fs::path& to, bool full) {
  CheckpointOptions options;
  options.repository = to;
  options.full = full;
  machine.checkpoint(options, {});
}

bool is_incomplete(const fs::path& image) { return read_incomplete_note(open_file(image, O_RDONLY).get()).has_value(); }

/// The guest says that all is well. What failed before it was mended may be told after the machine was continued, and
/// pause it once more.
bool audits_well(Machine& machine, const fs::path& serial) {
  return becomes_true([&] {
    if (machine.status().state == RunState::kPaused) machine.resume();
    return read_text_file(serial).find("LEDGER OK") != std::string::npos;
  });
}

/// In a process of its own, which is killed after a while.
void restore_and_kill(const Fixture& fixture, std::chrono::milliseconds delay, std::chrono::microseconds when) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      const auto machine = fixture.restore(delay);
      machine->start();
      machine->wait();
    } catch (const std::exception&) {
    }
    ::_exit(0);
  }
  std::this_thread::sleep_for(when);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

}  // namespace

TEST_CASE("photographed before its disks are there, whole or by what changed, it is of one instant") {
  for (const bool full : {false, true}) {
    CAPTURE(full);
    const Fixture fixture;
    const auto start = std::chrono::steady_clock::now();
    const auto machine = fixture.restore(700ms);
    machine->start();
    CHECK(is_incomplete(fixture.image(0)));
    CHECK(std::chrono::steady_clock::now() - start < 10s);
    take(*machine, fixture.repository, full);
    CHECK(ledger_verdict(fixture.directory, fixture.repository, 1).substr(0, 9) == "LEDGER OK");
    take(*machine, fixture.repository, false);
    CHECK(ledger_verdict(fixture.directory, fixture.repository, 2).substr(0, 9) == "LEDGER OK");
    machine->stop(true);
    machine->wait();
    CHECK_FALSE(is_incomplete(fixture.image(0)));
    CHECK_FALSE(is_incomplete(fixture.image(1)));
    CHECK(CheckpointReader(fixture.repository, 2).manifest().parent == (full ? 0 : 1));
  }
}

TEST_CASE("nonpersistent disks are never whole, never have a name, and nothing of them is left") {
  const Fixture fixture(",mode=nonpersistent");
  const auto machine = fixture.restore([&](std::shared_ptr<const BlockSource> source) {
    CHECK_FALSE(fs::exists(fixture.image(0)));  // whoever is killed now leaves nothing
    return source;
  });
  machine->start();
  CHECK_FALSE(fs::exists(fixture.image(0)));
  CHECK(fs::exists(fixture.image(1)));
  take(*machine, fixture.repository, true);
  CHECK(ledger_verdict(fixture.directory, fixture.repository, 1).substr(0, 9) == "LEDGER OK");
  machine->stop(true);
  machine->wait();
}

TEST_CASE("killed before a disk is whole, its image says so, is refused, and can be completed") {
  std::mt19937 random(17);
  unsigned incomplete = 0;
  for (unsigned round = 0; round < rounds(8) || (incomplete == 0 && round < 50); ++round) {
    CAPTURE(round);
    const Fixture fixture;
    restore_and_kill(fixture, 200ms, round == 0 ? 1s : std::chrono::microseconds(random() % 1'500'000));
    for (int disk = 0; disk < 2; ++disk) {
      const fs::path image = fixture.image(disk);
      if (!fs::exists(image) || !is_incomplete(image)) continue;
      ++incomplete;
      const CommandResult refused = tintype({"run", "--kernel", guest_image("hello"), "--disk", image});
      CHECK(refused.err.find("tintype disk complete") != std::string::npos);
      const CommandResult completed = tintype({"disk", "complete", image});
      INFO(completed.err);
      REQUIRE(completed.exit_code == 0);
      CHECK(read_text_file(image, 1 << 30) == fixture.saved("disk" + std::to_string(disk)));
      CHECK(tintype({"disk", "complete", image}).exit_code == 1);
      CHECK(tintype({"disk", "check", image}).exit_code == 0);
      CHECK(tintype({"run", "--kernel", guest_image("hello"), "--disk", image}).err.find("not whole") ==
            std::string::npos);
    }
  }
  CHECK(incomplete > 0);
}

TEST_CASE("completing an image may be killed: it is not whole and says so, or it is") {
  std::mt19937 random(19);
  for (unsigned round = 0; round < rounds(8); ++round) {
    CAPTURE(round);
    const Fixture fixture;
    restore_and_kill(fixture, 10s, 700ms);
    const fs::path image = fixture.image(0);
    REQUIRE(is_incomplete(image));
    {
      MachineProcess completing({"disk", "complete", image});
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 60'000));
      completing.kill();
    }
    if (is_incomplete(image)) CHECK(tintype({"disk", "complete", image}).exit_code == 0);
    CHECK_FALSE(is_incomplete(image));
    CHECK(read_text_file(image, 1 << 30) == fixture.saved("disk0"));
  }
}

TEST_CASE("no room for the image is a problem of the disk, with the reason, while the machine runs; then it is whole") {
  Fixture fixture;
  fixture.disks = fixture.directory / "small";
  const SmallFileSystem small(fixture.disks, "12m");
  if (!small.mounted()) SKIP_TEST("only root can mount a file system that fills up");
  const auto fails = std::make_shared<std::atomic<bool>>(true);
  const auto machine = fixture.restore([fails](std::shared_ptr<const BlockSource> source) {
    return std::make_shared<FailingSource>(std::move(source), fails);
  });
  const fs::path filling = fixture.disks / "filling";
  std::ofstream(filling) << std::string(16 << 20, 'x');
  *fails = false;
  machine->start();
  const auto problem = [&] {
    const MachineStatus status = machine->status();
    return status.disk_problems.empty() ? std::string() : status.disk_problems.front().problem;
  };
  CHECK(becomes_true([&] { return problem().find("No space left") != std::string::npos; }));
  fs::remove(filling);
  machine->resume();  // paused or not: tried again at once
  CHECK(becomes_true([&] { return !is_incomplete(fixture.image(0)) && !is_incomplete(fixture.image(1)); }));
  const std::uint8_t audit = 'q';
  REQUIRE(becomes_true([&] { return machine->type({&audit, 1}) == 1; }));
  CHECK(audits_well(*machine, fixture.serial));
  CHECK(problem().empty());
  machine->stop(true);
  machine->wait();
}

TEST_CASE("a machine that is restored and never started leaves no images; one that ran leaves what says what it is") {
  const Fixture fixture;
  fixture.restore(1ms);
  CHECK(fs::is_empty(fixture.disks));
  restore_and_kill(fixture, 10s, 700ms);
  CHECK(is_incomplete(fixture.image(0)));
  CHECK(tintype({"disk", "complete", fixture.image(0)}).exit_code == 0);
}

TEST_CASE("a disk that cannot be read in the middle: the machine pauses and says why, and goes on when it is mended") {
  const Fixture fixture;
  const auto fails = std::make_shared<std::atomic<bool>>(true);
  const auto machine = fixture.restore([fails](std::shared_ptr<const BlockSource> source) {
    return std::make_shared<FailingSource>(std::move(source), fails);
  });
  machine->start();
  const std::uint8_t audit = 'q';  // reads all of it back
  REQUIRE(becomes_true([&] { return machine->type({&audit, 1}) == 1; }));
  const auto stands_still = [&] {
    const MachineStatus status = machine->status();
    return status.state == RunState::kPaused && !status.disk_problems.empty();
  };
  REQUIRE(becomes_true(stands_still));
  CHECK(machine->status().disk_problems.front().problem.find("the device has gone") != std::string::npos);
  machine->resume();  // nothing has changed
  REQUIRE(becomes_true(stands_still));
  CHECK(read_text_file(fixture.serial).find("LEDGER TORN") == std::string::npos);
  *fails = false;
  machine->resume();
  CHECK(audits_well(*machine, fixture.serial));
  CHECK(machine->status().disk_problems.empty());
  machine->stop(true);
  machine->wait();
  CHECK_FALSE(is_incomplete(fixture.image(0)));
  CHECK_FALSE(is_incomplete(fixture.image(1)));
}

}  // namespace tintype::test
