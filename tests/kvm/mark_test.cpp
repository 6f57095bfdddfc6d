// SPDX-License-Identifier: Apache-2.0
// A machine that goes back to its mark in place: memory, CPUs and disks of that instant, again and again.
#include <chrono>
#include <fstream>
#include <random>
#include <thread>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "checkpoint/store/checkpoint_reader.h"
#include "tests/kvm/ledger_verdict.h"
#include "tests/support/skip.h"
#include "tests/support/small_file_system.h"
#include "tests/support/tintype_process.h"
#include "vmm/base/io.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/marked_memory.h"

namespace tintype::test {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

Arguments ledger_machine(const TestDirectory& directory) {
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
          "2",
          "--disk",
          directory.blank_image("a.img", 2 << 20),
          "--disk",
          directory.blank_image("b.img", 2 << 20)};
}

nlohmann::json ask(const std::string& verb, const std::string& name) {
  const CommandResult result = tintype({verb, name, "--json"});
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  return nlohmann::json::parse(result.out);
}

void run_for_a_while(std::mt19937& random) {
  std::this_thread::sleep_for(std::chrono::microseconds(random() % 50'000));
}

std::string verdict(MachineProcess& machine) {
  machine.type("q");
  auto line = machine.wait_for("LEDGER ");
  while (line && line->find("LEDGER OK") == std::string::npos && line->find("TORN") == std::string::npos &&
         line->find("BROKEN") == std::string::npos)
    line = machine.wait_for("LEDGER ");
  return line.value_or("nothing");
}

std::string memory_of(const TestDirectory& directory, const fs::path& repository, int id) {
  const auto file = directory / ("memory-" + std::to_string(id));
  REQUIRE(tintype({"export", repository, "--id", std::to_string(id), "--memory", file}).exit_code == 0);
  return read_text_file(file, 1 << 30);
}

}  // namespace

TEST_CASE("memory, CPUs and both disks go back together, in the middle of a full load, again and again") {
  const TestDirectory directory;
  MachineProcess machine(ledger_machine(directory));
  REQUIRE(machine.wait_for("LEDGER RUN"));
  std::mt19937 random(3);
  std::uint64_t wrote_to_disks = 0;
  for (int mark = 0; mark < 4; ++mark) {
    ask("mark", "ledger");
    for (int round = 1; round <= 8; ++round) {
      run_for_a_while(random);
      const auto reset = ask("reset", "ledger");
      CHECK(reset.at("resets") == round);
      CHECK(reset.at("pages") > 0);
      wrote_to_disks += reset.at("disks").get<bool>() ? 1 : 0;
      machine.wait_for("LEDGER RUN", 1ms);  // keeps its pipe from filling
    }
  }
  CHECK(wrote_to_disks > 0);
  CHECK(verdict(machine).find("LEDGER OK") != std::string::npos);
}

TEST_CASE("checkpoints before, between and after resets each hold one instant") {
  const TestDirectory directory;
  const auto repository = directory / "repository";
  MachineProcess machine(ledger_machine(directory));
  REQUIRE(machine.wait_for("LEDGER RUN"));
  std::mt19937 random(5);
  int round = 0;
  const auto photograph = [&] {
    run_for_a_while(random);
    const CommandResult taken = tintype({"checkpoint", "ledger", "--to", repository});
    INFO(taken.err);
    REQUIRE(taken.exit_code == 0);
    CHECK(ledger_verdict(directory, repository, ++round).substr(0, 9) == "LEDGER OK");
  };
  photograph();
  ask("mark", "ledger");
  for (int i = 0; i < 3; ++i) {
    photograph();
    run_for_a_while(random);
    ask("reset", "ledger");
    photograph();
  }
  CHECK(verdict(machine).find("LEDGER OK") != std::string::npos);
}

TEST_CASE("after a reset memory is the mark's to the last byte") {
  const TestDirectory directory;
  const auto repository = directory / "repository";
  MachineConfig config;
  config.name = "staircase";
  config.kernel = guest_image("staircase");
  config.memory = 64 << 20;
  config.append = "mb=16";
  config.cpus = 1;
  config.serial = {SerialKind::kFile, directory / "serial.log"};
  const auto machine = boot_machine(config);
  machine->start();
  std::this_thread::sleep_for(300ms);
  CheckpointOptions options;
  options.repository = repository;
  options.full = true;
  machine->pause();
  machine->mark();
  machine->checkpoint(options, {});
  for (int round = 0; round < 3; ++round) {
    machine->resume();
    std::this_thread::sleep_for(100ms);
    machine->pause();
    CHECK(machine->reset().pages > 100);
    CHECK(machine->status().state == RunState::kPaused);
  }
  machine->checkpoint(options, {});
  machine->stop(true);
  machine->wait();
  CHECK(memory_of(directory, repository, 1) == memory_of(directory, repository, 2));
}

TEST_CASE("what devices wrote goes back too, also where nothing was before, and once only") {
  const KvmSystem system;
  GuestMemory memory(kHoleStart + (4 << 20));
  KvmVm vm(system);
  std::uint32_t slot = 0;
  for (const MemoryRegion& region : memory.regions())
    vm.set_memory(slot++, region.start.value(), region.size, region.host);
  const Gpa old(5000 * kPageSize), fresh(9000 * kPageSize + 24), high(kHoleEnd + 3 * kPageSize);
  REQUIRE(memory.store<std::uint64_t>(old, 1));
  MarkedMemory mark(memory, vm);
  for (int round = 0; round < 2; ++round) {
    for (const Gpa address : {old, fresh, high}) REQUIRE(memory.store<std::uint64_t>(address, 2));
    CHECK(mark.go_back() == 3);
    CHECK(memory.load<std::uint64_t>(old) == 1);
    CHECK(memory.load<std::uint64_t>(fresh) == 0);
    CHECK(memory.load<std::uint64_t>(high) == 0);
  }
  CHECK(mark.go_back() == 0);
  for (const Gpa address : {old, high}) REQUIRE(memory.store<std::uint64_t>(address, 3));
  mark.take_again();
  REQUIRE(memory.store<std::uint64_t>(old, 4));
  CHECK(mark.go_back() == 1);
  CHECK(memory.load<std::uint64_t>(old) == 3);
  CHECK(memory.load<std::uint64_t>(fresh) == 0);
  CHECK(memory.load<std::uint64_t>(high) == 3);
}

TEST_CASE("a mark that cannot be set leaves the one before, also when many have been set") {
  const TestDirectory directory;
  const SmallFileSystem small(directory / "small", "4m");
  if (!small.mounted()) SKIP_TEST("only root can mount a file system that fills up");
  MachineConfig config;
  config.name = "staircase";
  config.kernel = guest_image("staircase");
  config.memory = 64 << 20;
  config.append = "mb=16";
  config.serial = {SerialKind::kFile, directory / "serial.log"};
  config.disks.push_back({directory.blank_image("small/disk.img", 1 << 20), DiskMode::kPersistent, false, {}});
  const auto machine = boot_machine(config);
  machine->start();
  std::this_thread::sleep_for(300ms);
  for (int i = 0; i < 20; ++i) machine->mark();
  const auto filling = directory / "small/filling";
  std::ofstream(filling) << std::string(8 << 20, 'x');
  CHECK_THROWS_WITH(machine->mark(), doctest::Contains("No space left"));
  fs::remove(filling);
  std::this_thread::sleep_for(100ms);
  machine->pause();
  CHECK(machine->reset().pages > 100);
  CHECK(std::distance(fs::directory_iterator(directory / "small"), {}) < 20);
  machine->resume();
  machine->stop(true);
  machine->wait();
}

TEST_CASE("a machine that was reset and killed leaves disks that it can be started on again") {
  const TestDirectory directory;
  const Arguments run = ledger_machine(directory);
  std::mt19937 random(9);
  {
    MachineProcess machine(run);
    REQUIRE(machine.wait_for("LEDGER RUN"));
    ask("mark", "ledger");
    for (int round = 0; round < 4; ++round) {
      run_for_a_while(random);
      ask("reset", "ledger");
    }
    run_for_a_while(random);
    machine.kill();
  }
  MachineProcess machine(run);
  CHECK(machine.wait_for("LEDGER RUN"));
  CHECK(verdict(machine).find("LEDGER OK") != std::string::npos);
}

TEST_CASE("without a mark there is nothing to go back to, and the machine runs on") {
  const TestDirectory directory;
  MachineProcess machine(ledger_machine(directory));
  REQUIRE(machine.wait_for("LEDGER RUN"));
  const CommandResult reset = tintype({"reset", "ledger"});
  CHECK(reset.exit_code == 1);
  CHECK(reset.err.find("tintype mark ledger") != std::string::npos);
  CHECK(verdict(machine).find("LEDGER OK") != std::string::npos);
}

}  // namespace tintype::test
