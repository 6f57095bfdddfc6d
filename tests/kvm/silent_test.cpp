// SPDX-License-Identifier: Apache-2.0
// Guests that never exit by themselves: whatever is asked of their machine comes to its end, and soon.
#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/support/tintype_process.h"

namespace tintype::test {

namespace {

constexpr int kRounds = 20;
/// What waits for a silent guest waits for ever. On a machine with nothing else to do each command takes a fraction of
/// a second; that a crowded one is slow now and then is not a failure, that most take long is.
constexpr std::chrono::seconds kSoon{15};
constexpr double kPromised = 2;

/// How long each command of a kind took, in seconds.
std::map<std::string, std::vector<double>> taken;

void judge_times() {
  for (auto& [verb, seconds] : taken) {
    std::ranges::sort(seconds);
    const double median = seconds[seconds.size() / 2];
    fmt::print("{}: median {:.0f} ms, longest {:.0f} ms\n", verb, median * 1000, seconds.back() * 1000);
    CHECK(median <= kPromised);
  }
  taken.clear();
}

/// Runs a command that must succeed soon.
CommandResult soon(const Arguments& arguments) {
  const auto start = std::chrono::steady_clock::now();
  CommandResult result = tintype(arguments, std::chrono::seconds(30));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  INFO(arguments.front(), " took ", took.count(), " s and said: ", result.err);
  REQUIRE(result.exit_code == 0);
  CHECK(took <= kSoon);
  taken[arguments.front()].push_back(took.count());
  return result;
}

/// A machine that prints nothing is up when it can be asked.
bool answers(const std::string& name) {
  for (int tries = 0; tries < 200; ++tries) {
    if (tintype({"status", name}).exit_code == 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

std::string state_of(const std::string& name) {
  return nlohmann::json::parse(soon({"status", name, "--json"}).out)["state"];
}

Arguments run_silent(const std::string& mode, const std::string& cpus) {
  return {"run",      "--name",       "silent", "--kernel", guest_image("silent"), "--memory", "64M",
          "--append", "mode=" + mode, "--cpus", cpus};
}

void take_checkpoint(const std::filesystem::path& repository, const std::string& strategy) {
  soon({"checkpoint", "silent", "--to", repository, "--strategy", strategy});
  soon({"delete", repository, "--id", "1"});
}

/// Saves the machine and lets it go on, as often; it is silent again, and stops.
void put_to_sleep(const TestDirectory& directory, std::unique_ptr<MachineProcess> machine) {
  for (int round = 0; round < kRounds; ++round) {
    soon({"suspend", "silent", "--to", directory / "sleep"});
    CHECK(machine->wait(kSoon) == 0);
    machine = std::make_unique<MachineProcess>(Arguments{"resume", directory / "sleep"});
    REQUIRE(answers("silent"));
  }
  soon({"stop", "silent"});
  CHECK(machine->wait(kSoon) == 0);
}

/// Everything that a user asks of a machine, 20 times; then a stop.
void question(const std::string& mode, const std::string& cpus) {
  CAPTURE(mode);
  const TestDirectory directory;
  auto machine = std::make_unique<MachineProcess>(run_silent(mode, cpus));
  REQUIRE(machine->wait_for("SILENT " + mode));
  for (int round = 0; round < kRounds; ++round) {
    const std::string repository = directory / ("repository" + std::to_string(round));
    take_checkpoint(repository, std::array{"cow", "stop", "hybrid", "fork", "precopy"}[round % 5]);
    soon({"pause", "silent"});
    CHECK(state_of("silent") == "paused");
    if (round < 5)
      take_checkpoint(directory / ("paused" + std::to_string(round)),
                      std::array{"cow", "stop", "hybrid", "fork", "precopy"}[round]);
    soon({"continue", "silent"});
    CHECK(state_of("silent") == "running");
  }
  put_to_sleep(directory, std::move(machine));
  judge_times();
}

}  // namespace

TEST_CASE("halted with interrupts off: checkpoint, pause, status, suspend, stop are soon over") {
  question("halt-off", "1");
}
TEST_CASE("halted with interrupts on, and none to come: the same") { question("halt-on", "1"); }
TEST_CASE("spinning in ring 0: the same") { question("spin0", "1"); }
TEST_CASE("spinning in ring 3: the same") { question("spin3", "1"); }
TEST_CASE("idle, waking ten times a second: the same") { question("idle", "1"); }
TEST_CASE("with CPUs that nobody ever started: the same") { question("halt-off", "4"); }

TEST_CASE("20 silent machines in a row stop soon, and so does a paused one") {
  for (int round = 0; round < kRounds; ++round) {
    const std::string mode = std::array{"halt-off", "halt-on", "spin0", "spin3", "idle"}[round % 5];
    CAPTURE(mode);
    const TestDirectory directory;
    MachineProcess machine(run_silent(mode, "2"));
    REQUIRE(machine.wait_for("SILENT " + mode));
    if (round % 2 != 0) soon({"pause", "silent"});
    soon({"stop", "silent"});
    CHECK(machine.wait(kSoon) == 0);
  }
}

TEST_CASE("a silent machine that was captured and restored is as silent, and as obedient") {
  for (const std::string mode : {"halt-off", "halt-on", "spin0", "spin3", "idle"}) {
    CAPTURE(mode);
    const TestDirectory directory;
    const std::string repository = directory / "repository";
    {
      MachineProcess machine(run_silent(mode, "2"));
      REQUIRE(machine.wait_for("SILENT " + mode));
      soon({"checkpoint", "silent", "--to", repository});
    }
    MachineProcess restored({"restore", repository, "--name", "silent"});
    REQUIRE(answers("silent"));
    CHECK(!restored.wait_for("SILENT", std::chrono::milliseconds(300)));
    take_checkpoint(directory / "again", "cow");
    soon({"stop", "silent"});
    CHECK(restored.wait(kSoon) == 0);
  }
}

}  // namespace tintype::test
