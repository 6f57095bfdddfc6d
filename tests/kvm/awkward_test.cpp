// SPDX-License-Identifier: Apache-2.0
// Captures at awkward moments, and many of them: whatever comes of one, the next is good. TINTYPE_CHECKPOINTS sets how
// many are taken of one machine (300).
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/support/becomes_true.h"
#include "tests/support/rounds.h"
#include "tests/support/tintype_process.h"

namespace tintype::test {

namespace {

namespace fs = std::filesystem;

constexpr std::array kEachStrategy{"stop", "precopy", "cow", "fork", "hybrid"};

Arguments ledger(const TestDirectory& directory, const std::string& name) {
  return {"run",
          "--name",
          name,
          "--kernel",
          guest_image("ledger"),
          "--memory",
          "32M",
          "--cpus",
          "2",
          "--append",
          "mb=2",
          "--disk",
          directory.blank_image(name + "-a.img", 2 << 20),
          "--disk",
          directory.blank_image(name + "-b.img", 2 << 20)};
}

Arguments hotset(int hot) {
  return {"run",
          "--name",
          "hot",
          "--kernel",
          guest_image("hotset"),
          "--memory",
          "64M",
          "--append",
          fmt::format("mb=32 hot={}", hot)};
}

nlohmann::json photograph(const std::string& name, const fs::path& repository, const Arguments& more = {}) {
  Arguments arguments{"checkpoint", name, "--to", repository, "--json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const CommandResult result = tintype(arguments, std::chrono::minutes(10));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  return nlohmann::json::parse(result.out);
}

bool is_whole(const fs::path& repository) { return tintype({"verify", repository}).exit_code == 0; }

/// Nothing half-made: what is there has a name, or there is not even a repository.
bool is_tidy(const fs::path& repository) {
  return !fs::exists(repository) ||
         std::none_of(fs::directory_iterator(repository), fs::directory_iterator(), [](const auto& entry) {
           return entry.is_directory() && entry.path().filename().string().starts_with('.');
         });
}

/// What a process has of the host.
struct Footprint {
  std::size_t descriptors = 0, threads = 0, resident_kib = 0;
};

Footprint footprint_of(pid_t process) {
  const fs::path proc = fs::path("/proc") / std::to_string(process);
  Footprint footprint;
  footprint.descriptors = static_cast<std::size_t>(std::distance(fs::directory_iterator(proc / "fd"), {}));
  std::ifstream status(proc / "status");
  for (std::string word; status >> word;) {
    if (word == "Threads:") status >> footprint.threads;
    if (word == "VmRSS:") status >> footprint.resident_kib;
  }
  return footprint;
}

/// Series of so many checkpoints, by every strategy in turn.
void film(const fs::path& repository, unsigned count) {
  for (const char* strategy : kEachStrategy) {
    const auto series =
        photograph("hot", repository,
                   {"--strategy", strategy, "--every", "1ms", "--keep", "3", "--count", std::to_string(count / 5)});
    CHECK(series["taken"] == count / 5);
    CHECK(series["not_deleted"] == 0);
  }
}

}  // namespace

TEST_CASE("a guest that ends while it is captured ends, and its checkpoint is whole or was never there") {
  std::mt19937 random(3);
  for (unsigned round = 0; round < 2 * kEachStrategy.size(); ++round) {
    const TestDirectory directory;
    const auto repository = directory / "repository";
    const std::string strategy = kEachStrategy[round % kEachStrategy.size()];
    CAPTURE(strategy);
    MachineProcess machine(ledger(directory, "ledger"));
    REQUIRE(machine.wait_for("LEDGER RUN"));
    CommandResult taken;
    std::thread user([&] { taken = tintype({"checkpoint", "ledger", "--to", repository, "--strategy", strategy}); });
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 100'000));
    machine.type("q");
    CHECK(machine.wait_for("LEDGER OK"));
    CHECK(machine.wait() == 1);  // the debug-exit port's word for 0
    user.join();
    INFO(taken.err);
    CHECK((taken.exit_code == 0 || taken.exit_code == 1));
    CHECK(taken.err.empty() == (taken.exit_code == 0));
    CHECK(is_tidy(repository));
    if (taken.exit_code == 0) CHECK(is_whole(repository));
  }
}

TEST_CASE("two machines that are captured at once, into one repository, know nothing of each other") {
  const TestDirectory directory;
  const auto repository = directory / "repository";
  MachineProcess first(ledger(directory, "first")), second(ledger(directory, "second"));
  REQUIRE(first.wait_for("LEDGER RUN"));
  REQUIRE(second.wait_for("LEDGER RUN"));
  const auto take_some = [&](const std::string& name) {
    for (const char* strategy : kEachStrategy) {
      const CommandResult taken = tintype({"checkpoint", name, "--to", repository, "--strategy", strategy});
      CHECK_MESSAGE(taken.exit_code == 0, taken.err);
    }
  };
  std::thread other([&] { take_some("first"); });
  take_some("second");
  other.join();
  const auto shown = nlohmann::json::parse(tintype({"show", repository, "--json"}).out);
  CHECK(shown["checkpoints"].size() == 2 * kEachStrategy.size());
  CHECK(is_whole(repository));
  for (MachineProcess* machine : {&first, &second}) {
    machine->type("q");
    CHECK(machine->wait_for("LEDGER OK"));
  }
}

TEST_CASE(
    "where the repository is taken away in the middle of a capture, the next checkpoint is a full one, and good") {
  for (const char* strategy : {"cow", "stop"}) {
    CAPTURE(strategy);
    const TestDirectory directory;
    const auto repository = directory / "repository";
    MachineProcess machine(ledger(directory, "ledger"));
    REQUIRE(machine.wait_for("LEDGER RUN"));
    photograph("ledger", repository);
    std::thread user([&] { tintype({"checkpoint", "ledger", "--to", repository, "--full", "--strategy", strategy}); });
    CHECK(becomes_true([&] { return !is_tidy(repository) || fs::exists(repository / "00000002"); }));
    fs::rename(repository, directory / "gone");
    std::error_code ignored;
    fs::remove_all(directory / "gone", ignored);  // somebody may still write in it
    user.join();
    CHECK(photograph("ledger", repository)["parent"] == 0);
    CHECK(is_whole(repository));
    machine.type("q");
    CHECK(machine.wait_for("LEDGER OK"));
  }
}

TEST_CASE("hundreds of checkpoints leave nothing of themselves in the process") {
  const unsigned count = std::max(rounds_of("TINTYPE_CHECKPOINTS", 300), 5U);
  const TestDirectory directory;
  const auto repository = directory / "repository";
  MachineProcess machine(hotset(2));
  REQUIRE(machine.wait_for("WORK"));
  film(repository, 25);
  const Footprint before = footprint_of(machine.pid());
  film(repository, count);
  constexpr std::size_t kSpareKib = (kAllRounds ? 24 : 256) << 10;
  Footprint after;
  const bool as_before = becomes_true([&] {
    after = footprint_of(machine.pid());
    return after.descriptors <= before.descriptors && after.threads <= before.threads &&
           after.resident_kib <= before.resident_kib + kSpareKib;
  });
  INFO(before.descriptors, " descriptors, ", before.threads, " threads, ", before.resident_kib, " KiB before; then ",
       after.descriptors, ", ", after.threads, ", ", after.resident_kib);
  CHECK(as_before);
  CHECK(is_whole(repository));
  CHECK(machine.transcript().find("BROKEN") == std::string::npos);
}

TEST_CASE("of a machine that did nothing, the second checkpoint has nothing, and is as good as the first") {
  const TestDirectory directory;
  const auto repository = directory / "repository";
  const Arguments silent{"run",      "--name", "silent",   "--kernel",     guest_image("silent"),
                         "--memory", "64M",    "--append", "mode=halt-off"};
  MachineProcess machine(silent);
  REQUIRE(machine.wait_for("SILENT"));
  for (const char* strategy : kEachStrategy) {
    const auto report = photograph("silent", repository, {"--strategy", strategy});
    if (report["id"] != 1) CHECK(report["memory"]["pages_written"] == 0);
  }
  for (int id = 2; id <= 5; ++id) {
    CAPTURE(id);
    const auto difference =
        nlohmann::json::parse(tintype({"diff", repository, std::to_string(id - 1), std::to_string(id), "--json"}).out);
    CHECK(difference["memory"]["blocks_changed"] == 0);
  }
  CHECK(is_whole(repository));
  const CommandResult restored =
      tintype({"restore", repository, "--id", "5", "--name", "again", "--serial", "null", "--detach"});
  CHECK_MESSAGE(restored.exit_code == 0, restored.err);
  CHECK(tintype({"stop", "again", "--force"}).exit_code == 0);
}

}  // namespace tintype::test
