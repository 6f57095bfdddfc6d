// SPDX-License-Identifier: Apache-2.0
// Machines restored side by side from one checkpoint: they share memory and disks, and never see what another writes.
#include <signal.h>

#include <sys/stat.h>

#include <fstream>
#include <map>
#include <thread>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/kvm/ledger_verdict.h"
#include "tests/support/tintype_process.h"
#include "vmm/base/io.h"

namespace tintype::test {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr off_t kDisk = (2 << 20) + 512;  // as no log has

/// Clones of a machine, which are ended with the test.
class Clones {
 public:
  Clones(const TestDirectory& directory, const fs::path& repository, unsigned count) {
    fs::create_directory(directory / "disks");
    const CommandResult made = tintype({"restore", repository, "--name", "clone", "--clones", std::to_string(count),
                                        "--disk-dir", directory / "disks", "--json"});
    INFO(made.err);
    REQUIRE(made.exit_code == 0);
    const auto said = nlohmann::json::parse(made.out);
    for (const auto& machine : said.at("machines")) {
      names_.push_back(machine.at("name"));
      pids_.push_back(machine.at("pid"));
    }
    REQUIRE(names_.size() == count);
  }
  ~Clones() {
    for (const pid_t pid : pids_) ::kill(pid, SIGKILL);
  }
  Clones(const Clones&) = delete;
  Clones& operator=(const Clones&) = delete;

  const std::vector<std::string>& names() const { return names_; }
  const std::vector<pid_t>& pids() const { return pids_; }

 private:
  std::vector<std::string> names_;
  std::vector<pid_t> pids_;
};

std::string verdict(const std::string& name) {
  MachineProcess console({"console", name});
  console.type("q");
  auto line = console.wait_for("LEDGER ");
  while (line && line->find("LEDGER OK") == std::string::npos && line->find("TORN") == std::string::npos &&
         line->find("BROKEN") == std::string::npos)
    line = console.wait_for("LEDGER ");
  return line.value_or("nothing");
}

bool is_ok(const std::string& verdict) { return verdict.find("LEDGER OK") != std::string::npos; }

void photograph(const std::string& name, const fs::path& repository) {
  const CommandResult taken = tintype({"checkpoint", name, "--to", repository});
  INFO(taken.err);
  REQUIRE(taken.exit_code == 0);
}

void photograph_ledger(const TestDirectory& directory, const fs::path& repository) {
  MachineProcess machine({"run", "--name", "ledger", "--kernel", guest_image("ledger"), "--memory", "32M", "--append",
                          "mb=2", "--cpus", "2", "--disk", directory.blank_image("a.img", kDisk), "--disk",
                          directory.blank_image("b.img", kDisk)});
  REQUIRE(machine.wait_for("LEDGER RUN"));
  std::this_thread::sleep_for(50ms);
  photograph("ledger", repository);
  machine.kill();
}

std::uint64_t private_kib(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
  std::uint64_t sum = 0;
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("Private_Clean:") || line.starts_with("Private_Dirty:"))
      sum += std::stoull(line.substr(line.find(':') + 1));
  return sum;
}

}  // namespace

TEST_CASE("clones write to memory and disks under full load, and none sees another's writes") {
  const TestDirectory directory;
  const auto repository = directory / "repository";
  photograph_ledger(directory, repository);
  const Clones clones(directory, repository, 6);
  CHECK(clones.names().front() == "clone-1");
  CHECK(fs::is_empty(directory / "disks"));  // nothing of theirs has a name
  std::this_thread::sleep_for(300ms);
  for (const std::string& name : clones.names()) CHECK(is_ok(verdict(name)));
  CHECK(tintype({"verify", repository}).exit_code == 0);
  CHECK(is_ok(ledger_verdict(directory, repository, 1)));
}

TEST_CASE("however many clones there are, each disk of the checkpoint is there once") {
  const TestDirectory directory;
  const auto repository = directory / "repository";
  photograph_ledger(directory, repository);
  const Clones clones(directory, repository, 4);
  std::this_thread::sleep_for(300ms);     // they read and write
  std::map<ino_t, std::uint64_t> images;  // and the room that they take
  for (const pid_t pid : clones.pids()) {
    for (const auto& entry : fs::directory_iterator(fmt::format("/proc/{}/fd", pid))) {
      std::error_code closed;
      const bool is_ours = fs::read_symlink(entry.path(), closed).string().starts_with((directory / "disks").string());
      struct stat info {};
      if (is_ours && ::stat(entry.path().c_str(), &info) == 0 && info.st_size == kDisk)
        images[info.st_ino] = static_cast<std::uint64_t>(info.st_blocks) * 512;
    }
  }
  CHECK(images.size() == 2);
  for (const auto& [inode, room] : images) CHECK(room <= kDisk + (64 << 10));
  for (const std::string& name : clones.names()) CHECK(is_ok(verdict(name)));
}

TEST_CASE("a clone's checkpoints hold one instant, what it shares and what it wrote, from the first on") {
  const TestDirectory directory;
  const auto repository = directory / "repository";
  photograph_ledger(directory, repository);
  const Clones clones(directory, repository, 2);
  for (int round = 1; round <= 2; ++round) {
    for (const std::string& name : clones.names()) {
      const auto own = directory / ("of-" + name);
      photograph(name, own);
      CHECK(is_ok(ledger_verdict(directory, own, round)));
    }
  }
  photograph(clones.names().front(), repository);  // builds on what it was made from
  CHECK(is_ok(ledger_verdict(directory, repository, 3)));
  for (const std::string& name : clones.names()) {
    CHECK(tintype({"mark", name}).exit_code == 0);
    std::this_thread::sleep_for(20ms);
    CHECK(tintype({"reset", name}).exit_code == 0);
    CHECK(is_ok(verdict(name)));
  }
}

TEST_CASE("memory that no clone writes to is there once") {
  const TestDirectory directory;
  const auto repository = directory / "repository";
  {
    MachineProcess machine(
        {"run", "--name", "hotset", "--kernel", guest_image("hotset"), "--memory", "128M", "--append", "mb=64 hot=1"});
    std::this_thread::sleep_for(1s);
    photograph("hotset", repository);
    machine.kill();
  }
  const Clones clones(directory, repository, 2);
  for (const std::string& name : clones.names()) photograph(name, directory / "once");  // all of it has been looked at
  for (const pid_t pid : clones.pids()) CHECK(private_kib(pid) < 32 << 10);
}

TEST_CASE("what is wrong is said in one sentence, and nothing is left") {
  const TestDirectory directory;
  const auto repository = directory / "repository";
  photograph_ledger(directory, repository);
  CHECK(tintype({"restore", repository, "--clones", "0"}).exit_code == 2);
  CHECK(tintype({"restore", "s3://bucket/film", "--clones", "2"}).exit_code == 1);
  const CommandResult nowhere =
      tintype({"restore", repository, "--clones", "2", "--name", "c", "--disk-dir", directory / "nowhere"});
  CHECK(nowhere.exit_code == 1);
  CHECK(nowhere.err.find("--disk-dir") != std::string::npos);
  CHECK_FALSE(fs::exists(directory / "nowhere"));
}

}  // namespace tintype::test
