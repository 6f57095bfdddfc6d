// SPDX-License-Identifier: Apache-2.0
// Memory and time of one instant.
#include <fcntl.h>

#include <array>
#include <cstring>
#include <thread>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/support/skip.h"
#include "tests/support/tintype_process.h"
#include "tests/support/unprivileged.h"
#include "vmm/base/io.h"
#include "vmm/base/mapping.h"

namespace tintype::test {

namespace {

constexpr std::uint64_t kSweepBase = 0x200000;

nlohmann::json take_checkpoint(const std::string& name, const std::filesystem::path& repository,
                               const Arguments& more = {}) {
  Arguments arguments{"checkpoint", name, "--to", repository, "--json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const CommandResult result = tintype(arguments, std::chrono::seconds(120));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  return nlohmann::json::parse(result.out);
}

/// Number of places in the swept region where a page's word differs from the one before it, or -1 where the words are
/// not k+1 and then k.
int count_steps(const std::filesystem::path& memory, std::uint64_t pages) {
  const UniqueFd fd = open_file(memory, O_RDONLY);
  const Mapping map = Mapping::read_only_file(fd.get(), file_size(fd.get(), memory.string()));
  const auto word = [&](std::uint64_t page) {
    std::uint64_t value = 0;
    std::memcpy(&value, map.data() + kSweepBase + page * 4096, sizeof value);
    return value;
  };
  int steps = 0;
  for (std::uint64_t page = 1; page < pages; ++page) {
    if (word(page) == word(page - 1)) continue;
    if (word(page) + 1 != word(page - 1)) return -1;
    ++steps;
  }
  return steps;
}

/// One checkpoint's memory, of which so many MiB are swept: the sweep is at one place, or about to begin.
void shows_one_step(const TestDirectory& directory, const std::filesystem::path& repository, const std::string& id,
                    unsigned mb) {
  REQUIRE(tintype({"export", repository, "--id", id, "--memory", directory / "memory"}).exit_code == 0);
  const int steps = count_steps(directory / "memory", mb * 256);
  CHECK(steps >= 0);
  CHECK(steps <= 1);
}

/// Takes checkpoints of a running staircase; each one's memory must show one step.
void climb(const std::string& strategy, int checkpoints, const Arguments& more = {}, unsigned mb = 128) {
  const TestDirectory directory;
  MachineProcess machine({"run", "--name", "stairs", "--kernel", guest_image("staircase"), "--memory", "1G", "--append",
                          fmt::format("mb={}", mb)});
  REQUIRE(machine.wait_for("WORK"));
  Arguments options{"--strategy", strategy};
  options.insert(options.end(), more.begin(), more.end());
  for (int i = 0; i < checkpoints; ++i) {
    const auto report = take_checkpoint("stairs", directory / "repository", options);
    CHECK(report["strategy"] == strategy);
    const std::string id = std::to_string(report["id"].get<int>());
    shows_one_step(directory, directory / "repository", id, mb);
    REQUIRE(tintype({"delete", directory / "repository", "--id", id}).exit_code == 0);
    REQUIRE(machine.wait_for("WORK"));
  }
  CHECK(machine.transcript().find("BROKEN") == std::string::npos);
}

struct Tick {
  std::string nonce;
  int number = 0;
};

Tick parse_tick(const std::string& line) {
  char nonce[32] = {};
  Tick tick;
  REQUIRE(std::sscanf(line.c_str(), "TICK %31s %d", nonce, &tick.number) == 2);
  tick.nonce = nonce;
  return tick;
}

}  // namespace

TEST_CASE("a page that changes during the copy is captured as it was: staircase, cow") { climb("cow", 10, {}, 512); }

TEST_CASE("the same with a capture area so small that the guest has to wait") {
  climb("cow", 3, {"--capture-area", "4M"});
}

TEST_CASE("the same with the machine stopped") { climb("stop", 2); }
TEST_CASE("the same, most of it copied ahead of the pause") { climb("precopy", 2); }
TEST_CASE("the same, out of a child of this process") { climb("fork", 3); }
TEST_CASE("the same, copied ahead and then on write") { climb("hybrid", 3); }

TEST_CASE("a chain of checkpoints, each by another strategy, shows one step in each, also when some were deleted") {
  const TestDirectory directory;
  const std::string repository = directory / "repository";
  MachineProcess machine(
      {"run", "--name", "stairs", "--kernel", guest_image("staircase"), "--memory", "128M", "--append", "mb=64"});
  REQUIRE(machine.wait_for("WORK"));
  const std::array strategies{"cow", "hybrid", "stop", "fork", "precopy"};
  for (int i = 0; i < 15; ++i) {
    const auto report = take_checkpoint("stairs", repository, {"--strategy", strategies[i % 5]});
    CHECK(report["parent"] == i);
  }
  for (const int id : {1, 4, 5, 6, 15})
    CHECK(tintype({"delete", repository, "--id", std::to_string(id)}).exit_code == 0);
  CHECK(tintype({"verify", repository}).exit_code == 0);
  for (const int id : {2, 3, 7, 8, 9, 10, 11, 12, 13, 14}) {
    CAPTURE(id);
    shows_one_step(directory, repository, std::to_string(id), 64);
  }
}

TEST_CASE("the same without privilege: the kernel notes what is written, and nothing is lost") {
  const TestDirectory directory;
  const std::string repository = directory / "repository";
  UnprivilegedMachine machine(
      {"run", "--name", "stairs", "--kernel", guest_image("staircase"), "--memory", "128M", "--append", "mb=64"});
  REQUIRE(machine.wait_for("WORK"));
  if (const auto why = why_not_unprivileged("stairs", repository); !why.empty()) SKIP_TEST(why);
  const std::array strategies{"stop", "fork", "precopy"};
  for (int i = 1; i < 15; ++i) {
    const auto report = take_checkpoint("stairs", repository, {"--strategy", strategies[i % 3]});
    CHECK(report["parent"] == i);
  }
  CHECK(tintype({"verify", repository}).exit_code == 0);
  for (int id = 1; id <= 15; ++id) {
    CAPTURE(id);
    shows_one_step(directory, repository, std::to_string(id), 64);
  }
}

TEST_CASE("without privilege, a checkpoint of a machine that writes to little is small") {
  const TestDirectory directory;
  const std::string repository = directory / "repository";
  UnprivilegedMachine machine(
      {"run", "--name", "hot", "--kernel", guest_image("hotset"), "--memory", "256M", "--append", "mb=128 hot=1"});
  REQUIRE(machine.wait_for("WORK"));
  if (const auto why = why_not_unprivileged("hot", repository); !why.empty()) SKIP_TEST(why);
  for (const char* strategy : {"stop", "fork", "precopy"}) {
    const auto report = take_checkpoint("hot", repository, {"--strategy", strategy});
    CHECK(report["memory"]["pages_written"] < 2 * 256);
  }
}

TEST_CASE("a film: checkpoints at regular beats, of which the newest are kept, and each shows one step") {
  const TestDirectory directory;
  const std::string repository = directory / "repository";
  MachineProcess machine(
      {"run", "--name", "stairs", "--kernel", guest_image("staircase"), "--memory", "64M", "--append", "mb=16"});
  REQUIRE(machine.wait_for("WORK"));
  const auto film = take_checkpoint("stairs", repository, {"--every", "50ms", "--count", "12", "--keep", "3"});
  CHECK(film["taken"] == 12);
  CHECK(film["deleted"] == 9);
  CHECK(film["latest"]["parent"] == 11);
  CHECK(tintype({"verify", repository}).exit_code == 0);
  for (const int id : {10, 11, 12}) {
    shows_one_step(directory, repository, std::to_string(id), 16);
  }
  CHECK(tintype({"export", repository, "--id", "9", "--memory", directory / "memory"}).exit_code == 1);
}

TEST_CASE("a restored machine is not a rebooted one: the ticker goes on where it was, ten generations deep") {
  const TestDirectory directory;
  auto machine =
      std::make_unique<MachineProcess>(Arguments{"run", "--name", "ticker-0", "--kernel", guest_image("ticker"),
                                                 "--memory", "64M", "--append", "hz=200 every=10"});
  const auto first = machine->wait_for("TICK ");
  REQUIRE(first);
  const std::string nonce = parse_tick(*first).nonce;
  int last = parse_tick(*first).number;
  for (int generation = 1; generation <= 10; ++generation) {
    const std::string name = "ticker-" + std::to_string(generation);
    const auto repository = directory / name;
    take_checkpoint("ticker-" + std::to_string(generation - 1), repository);
    machine = std::make_unique<MachineProcess>(Arguments{"restore", repository, "--name", name});
    const auto line = machine->wait_for("TICK ");
    REQUIRE(line);
    const Tick tick = parse_tick(*line);
    CHECK(tick.nonce == nonce);
    CHECK(tick.number > last);
    last = tick.number;
    for (int i = 1; i <= 3; ++i) {  // each further line once, without a gap
      const auto next = machine->wait_for("TICK ");
      REQUIRE(next);
      CHECK(parse_tick(*next).number == ++last);
    }
    CHECK(machine->transcript().find("BROKEN") == std::string::npos);
  }
}

TEST_CASE("no tick is lost or doubled between the last line before the capture and the first after the restore") {
  const TestDirectory directory;
  MachineProcess machine(
      {"run", "--name", "ticker", "--kernel", guest_image("ticker"), "--memory", "64M", "--append", "hz=100 every=20"});
  REQUIRE(machine.wait_for("TICK "));
  REQUIRE(tintype({"pause", "ticker"}).exit_code == 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  int last = 0;  // of all that the paused machine has printed
  while (const auto line = machine.wait_for("TICK ", std::chrono::milliseconds(100))) last = parse_tick(*line).number;
  if (last == 0) last = 1;
  take_checkpoint("ticker", directory / "repository");
  machine.kill();
  MachineProcess restored({"restore", directory / "repository", "--name", "ticker"});
  const auto line = restored.wait_for("TICK ");
  REQUIRE(line);
  CHECK(parse_tick(*line).number == last + 1);
}

TEST_CASE("four CPUs go on after a live checkpoint and after a restore") {
  const TestDirectory directory;
  MachineProcess machine({"run", "--name", "smp", "--cpus", "4", "--kernel", guest_image("smp"), "--memory", "64M",
                          "--append", "locks=2000"});
  REQUIRE(machine.wait_for("SMP cpus=4", std::chrono::seconds(60)));
  take_checkpoint("smp", directory / "repository");
  REQUIRE(machine.wait_for("SMP cpus=4", std::chrono::seconds(60)));
  machine.kill();
  MachineProcess restored({"restore", directory / "repository", "--name", "smp"});
  CHECK(restored.wait_for("SMP cpus=4", std::chrono::seconds(60)));
  CHECK(restored.transcript().find("BROKEN") == std::string::npos);
}

}  // namespace tintype::test
