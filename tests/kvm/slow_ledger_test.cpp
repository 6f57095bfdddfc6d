// SPDX-License-Identifier: Apache-2.0
// Memory, CPU and both disks of the same instant where the host's disk takes 0 to 8 ms for everything and reorders, so
// that a checkpoint always meets requests in flight. TINTYPE_SLOW_LEDGER_ROUNDS sets how many checkpoints each (10).
#include <fstream>
#include <random>
#include <thread>

#include <doctest/doctest.h>

#include "tests/kvm/ledger_verdict.h"
#include "tests/support/rounds.h"
#include "tests/support/skip.h"
#include "tests/support/slow_engine.h"
#include "vmm/machine/machine.h"

namespace tintype::test {

namespace {

unsigned rounds() { return rounds_of("TINTYPE_SLOW_LEDGER_ROUNDS", 10); }

/// The ledger on slow disks, in this process, because a disk for tests is no option of the command line.
class SlowLedger {
 public:
  SlowLedger(const TestDirectory& directory, IoEngineKind engine) : output_(directory / "output") {
    MachineConfig config;
    config.name = "ledger";
    config.kernel = guest_image("ledger");
    config.append = "mb=2";
    config.memory = 32 << 20;
    for (const char* image : {"a.img", "b.img"})
      config.disks.push_back({directory.blank_image(image, 2 << 20), DiskMode::kPersistent, false, {}});
    config.serial = {SerialKind::kFile, output_};
    config.disk_tuning.make_engine = [engine, seed = std::make_shared<std::uint64_t>(1)] {
      return std::make_unique<SlowEngine>(make_io_engine(engine), std::chrono::milliseconds(8), (*seed)++);
    };
    machine_ = boot_machine(config);
    machine_->start();
    waiter_ = std::thread([this] { machine_->wait(); });
  }
  ~SlowLedger() {
    machine_->stop(true);
    waiter_.join();
  }
  Machine& machine() { return *machine_; }
  /// The guest has said so within 30 s.
  bool says(const std::string& text) const {
    for (int i = 0; i < 3000; ++i) {
      std::ifstream file(output_);
      const std::string all((std::istreambuf_iterator<char>(file)), {});
      if (all.find(text) != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

 private:
  std::filesystem::path output_;
  std::unique_ptr<Machine> machine_;
  std::thread waiter_;
};

std::string no_io_uring() {
  try {
    make_io_engine(IoEngineKind::kRing);
    return {};
  } catch (const std::exception& error) {
    return error.what();
  }
}

void photograph(IoEngineKind engine, Strategy strategy) {
  const TestDirectory directory;
  SlowLedger ledger(directory, engine);
  REQUIRE(ledger.says("LEDGER RUN"));
  std::mt19937 random(7);
  for (unsigned round = 0; round < rounds(); ++round) {
    CAPTURE(round);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 50'000));
    CheckpointOptions options;
    options.repository = directory / ("repository-" + std::to_string(round));
    options.strategy = strategy;
    ledger.machine().checkpoint(options, {});
    const CommandResult verified = tintype({"verify", options.repository});
    INFO(verified.err);
    CHECK(verified.exit_code == 0);
    CHECK(ledger_verdict(directory, options.repository, round).substr(0, 9) == "LEDGER OK");
    std::filesystem::remove_all(options.repository);
  }
}

}  // namespace

TEST_CASE("reads and writes in flight on slow disks belong to one side of the instant: io_uring, cow") {
  if (const std::string problem = no_io_uring(); !problem.empty()) SKIP_TEST(problem);
  photograph(IoEngineKind::kRing, Strategy::kCow);
}
TEST_CASE("reads and writes in flight on slow disks belong to one side of the instant: io_uring, stop") {
  if (const std::string problem = no_io_uring(); !problem.empty()) SKIP_TEST(problem);
  photograph(IoEngineKind::kRing, Strategy::kStop);
}
TEST_CASE("reads and writes in flight on slow disks belong to one side of the instant: threads, cow") {
  photograph(IoEngineKind::kThreads, Strategy::kCow);
}
TEST_CASE("reads and writes in flight on slow disks belong to one side of the instant: threads, stop") {
  photograph(IoEngineKind::kThreads, Strategy::kStop);
}

TEST_CASE("a machine that closes its disks is not running, and that is what a checkpoint is told") {
  const TestDirectory directory;
  SlowLedger ledger(directory, IoEngineKind::kThreads);
  REQUIRE(ledger.says("LEDGER RUN"));
  ledger.machine().stop(true);
  for (int i = 0; i < 1000; ++i) {
    CHECK_THROWS_WITH(ledger.machine().checkpoint({directory / "repository"}, {}), "the machine ledger is not running");
  }
}

}  // namespace tintype::test
