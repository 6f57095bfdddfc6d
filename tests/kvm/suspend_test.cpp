// SPDX-License-Identifier: Apache-2.0
// A machine that is suspended and goes on: whole, or not at all, whenever somebody is killed.
#include <chrono>
#include <fstream>
#include <random>
#include <string>
#include <thread>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/support/rounds.h"
#include "tests/support/skip.h"
#include "tests/support/small_file_system.h"
#include "tests/support/tintype_process.h"

namespace tintype::test {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

/// A guest that writes matching records to memory and to two disks all the time.
class Suspendable {
 public:
  explicit Suspendable(const std::string& more = {}) {
    disks_ = {"--disk", directory.blank_image("a.img", 2 << 20).string() + more, "--disk",
              directory.blank_image("b.img", 2 << 20)};
  }

  Arguments run() const {
    Arguments all{"run",      "--name", "ledger", "--kernel", guest_image("ledger"), "--memory", "32M",
                  "--append", "mb=2",   "--cpus", "2"};
    all.insert(all.end(), disks_.begin(), disks_.end());
    return all;
  }
  Arguments resume() const { return {"resume", state}; }
  /// Saved, and not used up.
  bool is_suspended() const {
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator(state, missing))
      if (entry.path().filename().string().starts_with("0")) return true;
    return false;
  }

  TestDirectory directory;
  fs::path state = directory / "ledger.suspended";

 private:
  Arguments disks_;
};

std::string verdict(MachineProcess& machine) {
  machine.type("q");
  auto line = machine.wait_for("LEDGER ");
  while (line && (line->find("LEDGER RUN") != std::string::npos || line->find("LEDGER FLUSH") != std::string::npos))
    line = machine.wait_for("LEDGER ");
  return line.value_or("nothing; " + machine.transcript());
}

void check_sound(MachineProcess& machine) {
  const std::string said = verdict(machine);
  INFO(said);
  CHECK(said.find("LEDGER OK") != std::string::npos);
}

CommandResult suspend(const Arguments& more = {}) {
  Arguments all{"suspend", "ledger", "--json"};
  all.insert(all.end(), more.begin(), more.end());
  return tintype(all);
}

/// Whoever was killed at whatever instant: the machine is suspended, and its images are nobody else's; or it is not,
/// and they are as a killed machine leaves them.
bool check_one_of_both(const Suspendable& machine) {
  if (!machine.is_suspended()) {
    CHECK(tintype(machine.resume()).exit_code == 1);
    MachineProcess again(machine.run());
    INFO(again.transcript());
    CHECK(again.wait_for("LEDGER RUN"));
    return false;
  }
  const CommandResult refused = tintype(machine.run());
  CHECK(refused.exit_code == 1);
  CHECK(refused.err.find("belongs to a suspended machine") != std::string::npos);
  MachineProcess again(machine.resume());
  check_sound(again);
  CHECK_FALSE(machine.is_suspended());
  return true;
}

bool answers() {
  for (int i = 0; i < 500 && tintype({"status", "ledger"}).exit_code != 0; ++i) std::this_thread::sleep_for(10ms);
  return tintype({"status", "ledger"}).exit_code == 0;
}

unsigned kills() { return rounds_of("TINTYPE_KILL_ROUNDS", 12); }

/// Some time within what the whole takes, and a little longer.
std::chrono::microseconds instant(std::mt19937& random, Clock::duration whole) {
  const auto limit = std::chrono::duration_cast<std::chrono::microseconds>(whole).count() * 5 / 4;
  return std::chrono::microseconds(random() % static_cast<std::uint64_t>(limit));
}

}  // namespace

TEST_CASE("suspended and resumed, again and again, it finds memory and both disks as they were") {
  for (const std::string mode : {"", ",mode=undoable"}) {
    const Suspendable ledger(mode);
    auto machine = std::make_unique<MachineProcess>(ledger.run());
    REQUIRE(machine->wait_for("LEDGER RUN"));
    for (int round = 0; round < 3; ++round) {
      const CommandResult suspended = suspend();
      INFO(suspended.err);
      REQUIRE(suspended.exit_code == 0);
      CHECK(nlohmann::json::parse(suspended.out).at("suspended") == ledger.state.string());
      CHECK(machine->wait() == 0);
      CHECK(ledger.is_suspended());
      machine = std::make_unique<MachineProcess>(ledger.resume());
      CHECK(machine->wait_for("LEDGER RUN"));
      CHECK_FALSE(fs::exists(ledger.state));
    }
    check_sound(*machine);
  }
}

TEST_CASE("the images of a suspended machine are changed by nobody else, and what changes them shows") {
  const Suspendable ledger(",mode=undoable");
  const fs::path a = ledger.directory / "a.img", b = ledger.directory / "b.img";
  {
    MachineProcess machine(ledger.run());
    REQUIRE(machine.wait_for("LEDGER RUN"));
    REQUIRE(suspend().exit_code == 0);
    CHECK(machine.wait() == 0);
  }
  for (const char* verb : {"commit", "discard"}) CHECK(tintype({"disk", verb, a}).exit_code == 1);
  CHECK(tintype({"disk", "check", b, "--repair"}).exit_code == 1);
  CHECK(tintype({"run", "--kernel", guest_image("hello"), "--disk", b}).exit_code == 1);
  CHECK(tintype({"run", "--kernel", guest_image("hello"), "--disk", b.string() + ",readonly"}).exit_code ==
        1 /* guest's */);
  CHECK(tintype({"disk", "info", b, "--json"}).out.find("\"suspended\":true") != std::string::npos);
  CHECK(tintype({"restore", ledger.state, "--name", "twin"}).err.find("tintype resume") != std::string::npos);
  CHECK(tintype({"delete", ledger.state, "--id", "1"}).exit_code == 1);
  SUBCASE("and it goes on") {
    MachineProcess machine(ledger.resume());
    check_sound(machine);
  }
  SUBCASE("written to by another program, it is refused") {
    { std::ofstream(b, std::ios::in | std::ios::out) << "x"; }
    const CommandResult refused = tintype(ledger.resume());
    CHECK(refused.exit_code == 1);
    CHECK(refused.err.find("not as the suspended machine left it") != std::string::npos);
    CHECK(ledger.is_suspended());
  }
  SUBCASE("with its note taken away, it is refused") {
    std::system(("python3 -c 'import os; os.removexattr(\"" + b.string() + "\", \"user.tintype.suspended\")'").c_str());
    CHECK(tintype(ledger.resume()).exit_code == 1);
    CHECK(ledger.is_suspended());
  }
}

TEST_CASE("what cannot be suspended runs on, and its images say nothing") {
  const Suspendable ledger(",mode=nonpersistent");
  MachineProcess machine(ledger.run());
  REQUIRE(machine.wait_for("LEDGER RUN"));
  const CommandResult refused = suspend();
  CHECK(refused.exit_code == 1);
  CHECK(refused.out.find("nonpersistent") != std::string::npos);
  CHECK_FALSE(ledger.is_suspended());
  CHECK(suspend({"--to", "/proc"}).exit_code == 1);
  check_sound(machine);
}

TEST_CASE("a suspend for which there is no room leaves the machine its mark") {
  const Suspendable ledger;
  const SmallFileSystem small(ledger.directory / "small", "256k");
  if (!small.mounted()) SKIP_TEST("mounting a small file system needs root");
  MachineProcess machine(ledger.run());
  REQUIRE(machine.wait_for("LEDGER RUN"));
  REQUIRE(tintype({"mark", "ledger"}).exit_code == 0);
  CHECK(suspend({"--to", ledger.directory / "small"}).exit_code == 1);
  CHECK_FALSE(fs::exists(ledger.directory / "small" / "ledger.suspended"));
  CHECK(tintype({"reset", "ledger"}).exit_code == 0);
  check_sound(machine);
}

TEST_CASE("a machine that is paused is suspended too, and one without disks to where it is told") {
  const TestDirectory directory;
  MachineProcess machine({"run", "--name", "ledger", "--kernel", guest_image("ticker"), "--memory", "32M"});
  REQUIRE(answers());
  CHECK(suspend().exit_code == 2);
  REQUIRE(tintype({"pause", "ledger"}).exit_code == 0);
  REQUIRE(suspend({"--to", directory / ""}).exit_code == 0);
  CHECK(machine.wait() == 0);
  MachineProcess again({"resume", directory / "ledger.suspended"});
  REQUIRE(answers());
  CHECK(tintype({"stop", "ledger", "--force"}).exit_code == 0);
}

TEST_CASE("killed at any instant of suspending, it is suspended or a killed machine, and never both") {
  std::mt19937 random(11);
  Clock::duration whole = 300ms;
  unsigned suspended = 0;
  for (unsigned round = 0; round < kills(); ++round) {
    CAPTURE(round);
    const Suspendable ledger(round % 2 == 0 ? "" : ",mode=undoable");
    {
      MachineProcess machine(ledger.run());
      REQUIRE(machine.wait_for("LEDGER RUN"));
      const auto start = Clock::now();
      std::thread asks([] { suspend(); });
      if (round > 0) std::this_thread::sleep_for(instant(random, whole));
      if (round > 0) machine.kill();
      asks.join();
      if (round == 0) whole = Clock::now() - start;
    }
    suspended += check_one_of_both(ledger) ? 1 : 0;
  }
  CHECK(suspended > 0);
}

TEST_CASE("killed at any instant of resuming, it is suspended still, or a killed machine") {
  std::mt19937 random(13);
  Clock::duration whole = 300ms;
  for (unsigned round = 0; round < kills(); ++round) {
    CAPTURE(round);
    const Suspendable ledger;
    {
      MachineProcess machine(ledger.run());
      REQUIRE(machine.wait_for("LEDGER RUN"));
      REQUIRE(suspend().exit_code == 0);
      machine.wait();
    }
    {
      const auto start = Clock::now();
      MachineProcess machine(ledger.resume());
      if (round == 0) {
        REQUIRE(machine.wait_for("LEDGER RUN"));
        whole = Clock::now() - start;
      } else {
        std::this_thread::sleep_for(instant(random, whole));
      }
      machine.kill();
    }
    check_one_of_both(ledger);
  }
}

}  // namespace tintype::test
