// SPDX-License-Identifier: Apache-2.0
// Whatever fails: the guest runs on, the disks are whole, nothing half-made is left.
#include <fcntl.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include <doctest/doctest.h>

#include "tests/support/skip.h"
#include "tests/support/small_file_system.h"
#include "tests/support/tintype_process.h"

namespace tintype::test {

namespace {

namespace fs = std::filesystem;

Arguments ledger(const TestDirectory& directory) {
  return {"run",
          "--name",
          "ledger",
          "--kernel",
          guest_image("ledger"),
          "--memory",
          "64M",
          "--append",
          "mb=2",
          "--disk",
          directory.blank_image("a.img", 2 << 20),
          "--disk",
          directory.blank_image("b.img", 2 << 20)};
}

/// One sentence on stderr, and exit code 1.
void check_refused(const CommandResult& result, const std::string& word) {
  INFO(result.err);
  CHECK(result.exit_code == 1);
  CHECK(result.err.find(word) != std::string::npos);
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
}

void check_runs_on(MachineProcess& machine) {
  machine.type("q");
  CHECK(machine.wait_for("LEDGER OK", std::chrono::seconds(30)));
}

void flip_byte(const fs::path& path, std::uint64_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(byte);
}

}  // namespace

TEST_CASE("a destination that is a file, or cannot be written") {
  const TestDirectory directory;
  MachineProcess machine(ledger(directory));
  REQUIRE(machine.wait_for("LEDGER RUN"));
  std::ofstream(directory / "file") << "precious";
  check_refused(tintype({"checkpoint", "ledger", "--to", directory / "file"}), "file");
  check_refused(tintype({"checkpoint", "ledger", "--to", "/proc/nowhere/repository"}), "/proc/nowhere");
  REQUIRE(tintype({"checkpoint", "ledger", "--to", directory / "repository"}).exit_code == 0);
  check_runs_on(machine);
}

TEST_CASE("a destination that fills up half-way") {
  const TestDirectory directory;
  const SmallFileSystem small(directory / "small");
  if (!small.mounted()) SKIP_TEST("mounting a small file system needs root");
  MachineProcess machine(ledger(directory));
  REQUIRE(machine.wait_for("LEDGER RUN"));
  check_refused(tintype({"checkpoint", "ledger", "--to", directory / "small"}), "room");
  CHECK(tintype({"show", directory / "small"}).out.find("00000001") == std::string::npos);
  CHECK(std::none_of(fs::directory_iterator(directory / "small"), fs::directory_iterator(),
                     [](const auto& entry) { return entry.is_directory(); }));
  REQUIRE(tintype({"checkpoint", "ledger", "--to", directory / "repository"}).exit_code == 0);
  check_runs_on(machine);
}

TEST_CASE("a checkpoint while another runs is refused, and the first one is not harmed") {
  const TestDirectory directory;
  MachineProcess machine({"run", "--name", "stairs", "--kernel", guest_image("staircase"), "--memory", "1G"});
  REQUIRE(machine.wait_for("WORK"));
  CommandResult first;
  std::thread other([&] { first = tintype({"checkpoint", "stairs", "--to", directory / "repository"}); });
  const auto running = [] {
    return tintype({"status", "stairs", "--json"}).out.find("\"checkpoint_running\":true") != std::string::npos;
  };
  for (int tries = 0; tries < 1000 && !running(); ++tries) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const CommandResult second = tintype({"checkpoint", "stairs", "--to", directory / "elsewhere"});
  other.join();
  CHECK(first.exit_code == 0);
  check_refused(second, "already");
  CHECK(tintype({"verify", directory / "repository"}).exit_code == 0);
}

TEST_CASE("a checkpoint with one byte changed is named by verify and refused by restore, whichever file it is in") {
  const TestDirectory directory;
  MachineProcess machine(ledger(directory));
  REQUIRE(machine.wait_for("LEDGER RUN"));
  REQUIRE(tintype({"checkpoint", "ledger", "--to", directory / "repository"}).exit_code == 0);
  machine.kill();
  const fs::path checkpoint = directory / "repository" / "00000001";
  for (const auto& entry : fs::directory_iterator(checkpoint)) {
    const std::string file = entry.path().filename().string();
    CAPTURE(file);
    const std::uint64_t offset = entry.file_size() / 2;
    flip_byte(entry.path(), offset);
    check_refused(tintype({"verify", directory / "repository"}), file);
    // Eager: a lazy load looks at memory when it brings it in, and then pauses the machine (lazy_restore_test).
    const CommandResult restored = tintype({"restore", directory / "repository", "--disk-dir", directory / "",
                                            "--memory-load", "eager", "--serial", "null"});
    CHECK(restored.exit_code == 1);
    flip_byte(entry.path(), offset);
  }
  CHECK(tintype({"verify", directory / "repository"}).exit_code == 0);
}

TEST_CASE("a disk in use, a name in use") {
  const TestDirectory directory;
  MachineProcess machine(ledger(directory));
  REQUIRE(machine.wait_for("LEDGER RUN"));
  check_refused(tintype({"run", "--name", "other", "--kernel", guest_image("hello"), "--serial", "null", "--disk",
                         directory / "a.img"}),
                "in use");
  check_refused(tintype({"run", "--name", "ledger", "--kernel", guest_image("hello"), "--serial", "null"}), "ledger");
  check_runs_on(machine);
}

TEST_CASE("a restore needs no image of the captured machine, and never touches one") {
  const TestDirectory directory;
  MachineProcess machine(ledger(directory));
  REQUIRE(machine.wait_for("LEDGER RUN"));
  REQUIRE(tintype({"checkpoint", "ledger", "--to", directory / "repository"}).exit_code == 0);
  machine.kill();
  fs::remove(directory / "a.img");
  std::ofstream(directory / "b.img") << "changed";
  MachineProcess restored({"restore", directory / "repository", "--name", "again", "--disk-dir", directory / ""});
  restored.type("q");
  CHECK(restored.wait_for("LEDGER OK", std::chrono::seconds(30)));
  CHECK(fs::file_size(directory / "b.img") == 7);
  CHECK_FALSE(fs::exists(directory / "a.img"));
  check_refused(tintype({"restore", directory / "repository", "--name", "third", "--disk-dir", directory / "nowhere",
                         "--serial", "null"}),
                "--disk-dir");
}

}  // namespace tintype::test
