// SPDX-License-Identifier: Apache-2.0
// Memory, CPU and both disks of the same instant, under full load. TINTYPE_LEDGER_ROUNDS sets how often (200).
#include <array>
#include <filesystem>
#include <optional>
#include <random>
#include <thread>

#include <doctest/doctest.h>

#include "tests/kvm/ledger_verdict.h"
#include "tests/support/rounds.h"
#include "tests/support/skip.h"
#include "tests/support/tintype_process.h"
#include "tests/support/unprivileged.h"
#include "vmm/base/io.h"

namespace tintype::test {

namespace {

unsigned rounds() { return rounds_of("TINTYPE_LEDGER_ROUNDS", 200); }

Arguments ledger_machine(const TestDirectory& directory, const std::string& cpus = "1",
                         const std::string& mode = "persistent") {
  return {"run",
          "--name",
          "ledger",
          "--kernel",
          guest_image("ledger"),
          "--memory",
          "32M",
          "--append",
          "mb=2",
          "--cpus",
          cpus,
          "--disk",
          directory.blank_image("a.img", 2 << 20).string() + ",mode=" + mode,
          "--disk",
          directory.blank_image("b.img", 2 << 20).string() + ",mode=" + mode};
}

}  // namespace

TEST_CASE("a checkpoint at any instant of a full load on two disks restores to records that all agree") {
  const TestDirectory directory;
  MachineProcess machine(ledger_machine(directory));
  REQUIRE(machine.wait_for("LEDGER RUN"));
  std::mt19937 random(7);
  for (unsigned round = 0; round < rounds(); ++round) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 50'000));
    const auto repository = directory / ("repository-" + std::to_string(round));
    const CommandResult taken = tintype({"checkpoint", "ledger", "--to", repository, "--json"});
    INFO(taken.err);
    REQUIRE(taken.exit_code == 0);
    const std::string says = ledger_verdict(directory, repository, round);
    CAPTURE(round);
    CHECK(says.substr(0, 9) == "LEDGER OK");
    std::filesystem::remove_all(repository);
    machine.wait_for("LEDGER RUN", std::chrono::milliseconds(200));  // keeps its pipe from filling
  }
  machine.type("q");
  CHECK(machine.wait_for("LEDGER OK", std::chrono::seconds(30)));
}

/// Full checkpoints and those that build on one, by each of these strategies in turn, in one repository.
void photograph_in_turn(const TestDirectory& directory, MachineProcess& machine, const Arguments& strategies,
                        unsigned count = rounds() / 5) {
  const auto repository = directory / "repository";
  std::mt19937 random(11);
  for (unsigned round = 0; round < count; ++round) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 50'000));
    Arguments take{"checkpoint", "ledger", "--to", repository, "--strategy", strategies[round % strategies.size()]};
    if (random() % 8 == 0) take.push_back("--full");
    CAPTURE(round);
    const CommandResult taken = tintype(take);
    INFO(taken.err);
    REQUIRE(taken.exit_code == 0);
    CHECK(ledger_verdict(directory, repository, round).substr(0, 9) == "LEDGER OK");
    machine.wait_for("LEDGER RUN", std::chrono::milliseconds(200));  // keeps its pipe from filling
  }
  const CommandResult verified = tintype({"verify", repository});
  INFO(verified.err);
  CHECK(verified.exit_code == 0);
}

void photograph_in_turn(const std::string& cpus) {
  const TestDirectory directory;
  MachineProcess machine(ledger_machine(directory, cpus));
  REQUIRE(machine.wait_for("LEDGER RUN"));
  photograph_in_turn(directory, machine, {"cow", "hybrid", "stop", "fork", "precopy"});
}

TEST_CASE("the same in a chain, by every strategy in turn: one CPU") { photograph_in_turn("1"); }
TEST_CASE("the same in a chain, by every strategy in turn: two CPUs") { photograph_in_turn("2"); }

TEST_CASE("the same in a chain, without privilege: the kernel notes what is written, by the disks' reads too") {
  const TestDirectory directory;
  UnprivilegedMachine machine(ledger_machine(directory, "2"));
  REQUIRE(machine.wait_for("LEDGER RUN"));
  if (const auto why = why_not_unprivileged("ledger", directory / "other"); !why.empty()) SKIP_TEST(why);
  photograph_in_turn(directory, machine, {"fork", "stop", "precopy"});
}

TEST_CASE("a machine that was restored goes on in the chain of the one it was, with memory and disks") {
  const TestDirectory directory;
  const auto repository = directory / "repository";
  std::optional<MachineProcess> machine;
  machine.emplace(ledger_machine(directory));
  std::mt19937 random(13);
  for (int generation = 1; generation <= 10; ++generation) {
    CAPTURE(generation);
    REQUIRE(machine->wait_for("LEDGER RUN"));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 50'000));
    const CommandResult taken = tintype({"checkpoint", "ledger", "--to", repository});
    INFO(taken.err);
    REQUIRE(taken.exit_code == 0);
    machine.reset();  // killed
    CHECK(ledger_verdict(directory, repository, generation).substr(0, 9) == "LEDGER OK");
    const CommandResult shown = tintype({"show", repository, "--id", std::to_string(generation)});
    for (const std::string part : {"memory", "disk0", "disk1"})
      CHECK((shown.out.find(part + ".part, what changed") != std::string::npos) == (generation > 1));
    const auto disks = directory / ("disks-" + std::to_string(generation));
    std::filesystem::create_directory(disks);
    machine.emplace(Arguments{"restore", repository, "--name", "ledger", "--disk-dir", disks});
  }
}

TEST_CASE("the same on disks of every mode, whose images stay as they were") {
  for (const std::string mode : {"undoable", "nonpersistent"}) {
    CAPTURE(mode);
    const TestDirectory directory;
    MachineProcess machine(ledger_machine(directory, "1", mode));
    REQUIRE(machine.wait_for("LEDGER RUN"));
    photograph_in_turn(directory, machine, {"cow", "stop"}, rounds() / 25);
    machine.type("q");
    CHECK(machine.wait_for("LEDGER OK", std::chrono::seconds(30)));
    machine.wait();
    for (const std::string image : {"a.img", "b.img"}) {
      const std::string bytes = read_text_file(directory / image, 4 << 20);
      CHECK(bytes.find_first_not_of('\0') == std::string::npos);
      const bool has_log = std::filesystem::exists(directory / (image + ".0001.redo"));
      CHECK(has_log == (mode == "undoable"));
    }
  }
}

TEST_CASE("a machine that was killed in the middle of it all leaves disks that it can be started on again") {
  const TestDirectory directory;
  const Arguments run = ledger_machine(directory);
  for (int round = 0; round < 5; ++round) {
    MachineProcess machine(run);
    REQUIRE(machine.wait_for("LEDGER RUN"));
    std::thread checkpoint([&] { tintype({"checkpoint", "ledger", "--to", directory / "repository"}); });
    std::this_thread::sleep_for(std::chrono::milliseconds(20 * round));
    machine.kill();
    checkpoint.join();
  }
  MachineProcess machine(run);
  CHECK(machine.wait_for("LEDGER RUN"));
  const CommandResult verified = tintype({"verify", directory / "repository"});
  INFO(verified.err);
  CHECK((verified.exit_code == 0 || verified.err.find("no checkpoint") != std::string::npos));
}

}  // namespace tintype::test
