// SPDX-License-Identifier: Apache-2.0
// A running machine that goes to a checkpoint in place: its own, of earlier or later, or another machine's of its kind.
#include <fstream>
#include <random>
#include <thread>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/kvm/ledger_verdict.h"
#include "tests/support/tintype_process.h"
#include "vmm/base/io.h"
#include "vmm/boot/generation_id.h"
#include "vmm/machine/machine.h"

namespace tintype::test {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

struct Shape {
  std::string name = "ledger", memory = "32M", cpus = "2", mode = "persistent";
  unsigned disks = 2;
};

Arguments ledger_machine(const TestDirectory& directory, const Shape& shape = {}) {
  Arguments run{"run",      "--name", shape.name, "--kernel", guest_image("ledger"), "--memory", shape.memory,
                "--append", "mb=2",   "--cpus",   shape.cpus};
  for (unsigned i = 0; i < shape.disks; ++i) {
    const std::string image = directory.blank_image(fmt::format("{}-{}.img", shape.name, i), 2 << 20);
    run.insert(run.end(), {"--disk", image + ",mode=" + shape.mode});
  }
  return run;
}

void photograph(const std::string& name, const fs::path& repository) {
  const CommandResult taken = tintype({"checkpoint", name, "--to", repository});
  INFO(taken.err);
  REQUIRE(taken.exit_code == 0);
}

nlohmann::json reset_to(const std::string& name, const fs::path& repository, int id) {
  const CommandResult result = tintype({"reset", name, "--to", repository, "--id", std::to_string(id), "--json"});
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  return nlohmann::json::parse(result.out);
}

std::string refusal(const std::string& name, const fs::path& repository) {
  const CommandResult result = tintype({"reset", name, "--to", repository});
  CHECK(result.exit_code == 1);
  return result.err;
}

std::string verdict(MachineProcess& machine) {
  machine.type("q");
  auto line = machine.wait_for("LEDGER ");
  while (line && line->find("LEDGER OK") == std::string::npos && line->find("TORN") == std::string::npos &&
         line->find("BROKEN") == std::string::npos)
    line = machine.wait_for("LEDGER ");
  return line.value_or("nothing");
}

bool is_ok(const std::string& verdict) { return verdict.find("LEDGER OK") != std::string::npos; }

void run_for_a_while(std::mt19937& random) {
  std::this_thread::sleep_for(std::chrono::microseconds(random() % 50'000));
}

/// Turns a byte in the middle of the largest part whose name begins so.
void damage(const fs::path& repository, const std::string& name) {
  fs::path part;
  for (const auto& entry : fs::recursive_directory_iterator(repository))
    if (entry.is_regular_file() && entry.path().filename().string().starts_with(name)) part = entry.path();
  REQUIRE(!part.empty());
  std::fstream file(part, std::ios::in | std::ios::out | std::ios::binary);
  const auto middle = static_cast<std::streamoff>(fs::file_size(part) / 2);
  file.seekg(middle);
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(middle);
  file.put(byte);
}

}  // namespace

TEST_CASE("memory, CPUs and disks of any mode go to checkpoints back and forth, under full load") {
  for (const std::string mode : {"persistent", "undoable", "nonpersistent"}) {
    CAPTURE(mode);
    const TestDirectory directory;
    const auto repository = directory / "repository";
    Shape shape;
    shape.mode = mode;
    MachineProcess machine(ledger_machine(directory, shape));
    REQUIRE(machine.wait_for("LEDGER RUN"));
    std::mt19937 random(3);
    for (int i = 0; i < 3; ++i) {
      run_for_a_while(random);
      photograph("ledger", repository);
    }
    for (const int id : {1, 3, 2, 2, 3, 1}) {
      run_for_a_while(random);
      const auto reset = reset_to("ledger", repository, id);
      CHECK(reset.at("id") == id);
      CHECK(reset.at("pages") > 0);
      CHECK(reset.at("state") == "running");
      machine.wait_for("LEDGER RUN", 1ms);
    }
    photograph("ledger", repository);
    CHECK(is_ok(ledger_verdict(directory, repository, 4)));
    run_for_a_while(random);
    photograph("ledger", repository);
    CHECK(is_ok(ledger_verdict(directory, repository, 5)));
    CHECK(is_ok(verdict(machine)));
  }
}

TEST_CASE("memory is the checkpoint's to the last byte, and a paused machine stays paused") {
  const TestDirectory directory;
  const auto repository = directory / "repository";
  MachineConfig config;
  config.name = "staircase";
  config.kernel = guest_image("staircase");
  config.memory = 64 << 20;
  config.append = "mb=16";
  config.serial = {SerialKind::kFile, directory / "serial.log"};
  const auto machine = boot_machine(config);
  machine->start();
  std::this_thread::sleep_for(300ms);
  CheckpointOptions options;
  options.repository = repository;
  machine->pause();
  machine->checkpoint(options, {});
  machine->resume();
  std::this_thread::sleep_for(100ms);
  machine->mark();
  std::this_thread::sleep_for(100ms);
  machine->pause();
  const ResetReport report = machine->reset_to(repository.string(), 1, {});
  CHECK(report.pages > 100);
  CHECK(report.id == 1);
  CHECK(machine->status().state == RunState::kPaused);
  machine->checkpoint(options, {});  // builds on the first
  options.full = true;
  machine->checkpoint(options, {});
  CHECK(machine->reset_to(repository.string(), 1, {}).pages == 1);  // where its generation is
  CHECK_THROWS_AS(machine->reset(), Error);                         // the mark has gone
  machine->stop(true);
  machine->wait();
  const auto memory = [&](int id) {
    const auto file = directory / ("memory-" + std::to_string(id));
    REQUIRE(tintype({"export", repository, "--id", std::to_string(id), "--memory", file}).exit_code == 0);
    return read_text_file(file, 1 << 30).replace(kGenerationAddress, sizeof(GenerationId), "");
  };
  CHECK(memory(1) == memory(2));
  CHECK(memory(1) == memory(3));
}

TEST_CASE("a checkpoint of another kind of machine is refused with a sentence, and the machine runs on") {
  const TestDirectory directory;
  MachineProcess machine(ledger_machine(directory));
  REQUIRE(machine.wait_for("LEDGER RUN"));
  const auto other = [&](const Shape& shape, const std::string& why) {
    CAPTURE(shape.name);
    const auto repository = directory / shape.name;
    MachineProcess there(ledger_machine(directory, shape));
    REQUIRE(there.wait_for("LEDGER RUN"));
    photograph(shape.name, repository);
    there.kill();
    const std::string said = refusal("ledger", repository);
    CHECK(said.find(why) != std::string::npos);
    CHECK(said.find("tintype restore") != std::string::npos);
  };
  other({"more-memory", "48M"}, "bytes of memory");
  other({"one-cpu", "32M", "1"}, "1 CPUs, not 2");
  CHECK(refusal("ledger", directory / "nothing").find("nothing") != std::string::npos);
  CHECK(is_ok(verdict(machine)));
}

TEST_CASE("a refusal, whatever it is for, leaves the mark: one can go back to it") {
  const TestDirectory directory;
  const auto repository = directory / "repository", other = directory / "other";
  MachineProcess there(ledger_machine(directory, {"there", "48M"}));
  REQUIRE(there.wait_for("LEDGER RUN"));
  photograph("there", other);
  there.kill();
  MachineProcess machine(ledger_machine(directory));
  REQUIRE(machine.wait_for("LEDGER RUN"));
  photograph("ledger", repository);
  damage(repository, "memory");
  REQUIRE(tintype({"mark", "ledger"}).exit_code == 0);
  const auto is_refused = [&](const Arguments& to, const std::string& why) {
    CAPTURE(why);
    Arguments reset{"reset", "ledger", "--to"};
    reset.insert(reset.end(), to.begin(), to.end());
    const CommandResult refused = tintype(reset);
    CHECK(refused.exit_code == 1);
    CHECK(refused.err.find(why) != std::string::npos);
    const CommandResult back = tintype({"reset", "ledger"});
    INFO(back.err);
    CHECK(back.exit_code == 0);
  };
  is_refused({other}, "bytes of memory");
  is_refused({repository}, "damaged");
  is_refused({repository, "--id", "7"}, "7");
  is_refused({directory / "nothing"}, "nothing");
  CHECK(is_ok(verdict(machine)));
}

TEST_CASE("another machine's checkpoint of the same kind is taken on, disks and all") {
  const TestDirectory directory;
  const auto repository = directory / "repository";
  MachineProcess there(ledger_machine(directory, {"there"}));
  REQUIRE(there.wait_for("LEDGER RUN"));
  std::this_thread::sleep_for(50ms);
  photograph("there", repository);
  MachineProcess here(ledger_machine(directory, {"here"}));
  REQUIRE(here.wait_for("LEDGER RUN"));
  CHECK(reset_to("here", repository, 1).at("disks") == true);
  CHECK(is_ok(verdict(here)));
  CHECK(is_ok(verdict(there)));
}

TEST_CASE("a damaged checkpoint changes nothing") {
  for (const std::string part : {"memory", "disk1"}) {
    CAPTURE(part);
    const TestDirectory directory;
    const auto repository = directory / "repository";
    MachineProcess machine(ledger_machine(directory));
    REQUIRE(machine.wait_for("LEDGER RUN"));
    std::this_thread::sleep_for(50ms);
    photograph("ledger", repository);
    damage(repository, part);
    CHECK(refusal("ledger", repository).find("damaged") != std::string::npos);
    CHECK(is_ok(verdict(machine)));
  }
}

TEST_CASE("one that went to a checkpoint and was killed can be started on its disks again") {
  const TestDirectory directory;
  const auto repository = directory / "repository";
  const Arguments run = ledger_machine(directory);
  {
    MachineProcess machine(run);
    REQUIRE(machine.wait_for("LEDGER RUN"));
    photograph("ledger", repository);
    std::this_thread::sleep_for(30ms);
    reset_to("ledger", repository, 1);
    machine.kill();
  }
  MachineProcess machine(run);
  CHECK(machine.wait_for("LEDGER RUN"));
  CHECK(is_ok(verdict(machine)));
}

}  // namespace tintype::test
