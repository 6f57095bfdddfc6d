// SPDX-License-Identifier: Apache-2.0
// Every way back to a checkpoint, under full load, a few rounds each: the guest finds memory, CPU and both disks of one
// instant, and goes on from there. TINTYPE_LEDGER_ROUNDS sets how many rounds.
#include <signal.h>

#include <optional>
#include <random>
#include <thread>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/support/rounds.h"
#include "tests/support/tintype_process.h"

namespace tintype::test {

namespace {

namespace fs = std::filesystem;

unsigned rounds() { return rounds_of("TINTYPE_LEDGER_ROUNDS", 4); }

nlohmann::json ask(Arguments arguments) {
  arguments.push_back("--json");
  const CommandResult result = tintype(arguments);
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  return nlohmann::json::parse(result.out);
}

/// What the guest says when it has looked at all that it wrote. It ends then.
std::string verdict(MachineProcess& guest) {
  guest.type("q");
  auto line = guest.wait_for("LEDGER ");
  while (line && (line->find("LEDGER RUN") != std::string::npos || line->find("LEDGER FLUSH") != std::string::npos))
    line = guest.wait_for("LEDGER ");
  return line.value_or("nothing; " + guest.transcript());
}

void check_sound(MachineProcess& guest) {
  const std::string said = verdict(guest);
  INFO(said);
  CHECK(said.find("LEDGER OK") != std::string::npos);
}

/// The machine that checkpoints are taken of.
class Ledger {
 public:
  Ledger() {
    start({"run", "--name", "ledger", "--kernel", guest_image("ledger"), "--memory", "32M", "--append", "mb=2",
           "--cpus", "2", "--disk", directory.blank_image("a.img", 2 << 20), "--disk",
           directory.blank_image("b.img", 2 << 20)});
  }

  MachineProcess& machine() { return *machine_; }
  void start(const Arguments& arguments) {
    machine_.reset();
    machine_.emplace(arguments);
    REQUIRE(machine_->wait_for("LEDGER RUN"));
  }
  void run_for_a_while() {
    std::this_thread::sleep_for(std::chrono::microseconds(random_() % 50'000));
    machine_->wait_for("LEDGER RUN", std::chrono::milliseconds(1));  // keeps its pipe from filling
  }
  std::uint64_t photograph() { return ask({"checkpoint", "ledger", "--to", repository}).at("id"); }
  /// A new directory.
  fs::path disks() {
    const fs::path made = directory / ("disks-" + std::to_string(++directories_));
    fs::create_directory(made);
    return made;
  }

  const TestDirectory directory;
  const fs::path repository = directory / "repository";

 private:
  std::optional<MachineProcess> machine_;
  std::mt19937 random_{23};
  unsigned directories_ = 0;
};

/// Restored beside it, it runs on, and is photographed; what comes of that is sound, too.
void restore(Ledger& ledger, const std::string& load) {
  ledger.photograph();
  const fs::path repository = ledger.repository;
  MachineProcess restored(
      {"restore", repository, "--name", "restored", "--disk-dir", ledger.disks(), "--memory-load", load});
  REQUIRE(restored.wait_for("LEDGER RUN"));
  ask({"checkpoint", "restored", "--to", repository});
  check_sound(restored);
  MachineProcess again({"restore", repository, "--name", "again", "--disk-dir", ledger.disks()});
  check_sound(again);
}

void eager(Ledger& ledger) { restore(ledger, "eager"); }
void lazy(Ledger& ledger) { restore(ledger, "lazy"); }

void clone(Ledger& ledger) {
  ledger.photograph();
  const auto made =
      ask({"restore", ledger.repository, "--name", "clone", "--clones", "2", "--disk-dir", ledger.disks()});
  for (const auto& machine : made.at("machines")) {
    MachineProcess console({"console", machine.at("name").get<std::string>()});
    check_sound(console);
  }
  for (const auto& machine : made.at("machines")) ::kill(machine.at("pid").get<pid_t>(), SIGKILL);
}

void reset(Ledger& ledger) {
  ask({"mark", "ledger"});
  ledger.run_for_a_while();
  ask({"reset", "ledger"});
}

void reset_to(Ledger& ledger) {
  const std::uint64_t id = ledger.photograph();
  ledger.run_for_a_while();
  ask({"reset", "ledger", "--to", ledger.repository, "--id", std::to_string(id)});
}

void resume(Ledger& ledger) {
  ask({"suspend", "ledger"});
  ledger.machine().wait();
  ledger.start({"resume", ledger.directory / "ledger.suspended"});
}

struct Way {
  const char* name;
  void (*go)(Ledger& ledger);
};
constexpr Way kWays[] = {{"eager", eager}, {"lazy", lazy},           {"clone", clone},
                         {"reset", reset}, {"reset --to", reset_to}, {"resume", resume}};

}  // namespace

TEST_CASE("whichever way a machine comes back, it finds records that all agree") {
  for (const Way& way : kWays) {
    CAPTURE(way.name);
    Ledger ledger;
    for (unsigned round = 0; round < rounds(); ++round) {
      CAPTURE(round);
      ledger.run_for_a_while();
      way.go(ledger);
    }
    ledger.run_for_a_while();
    check_sound(ledger.machine());
  }
}

}  // namespace tintype::test
