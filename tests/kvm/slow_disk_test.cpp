// SPDX-License-Identifier: Apache-2.0
// A host disk that takes half a second a request and more: neither a user's pause nor a checkpoint's waits for it.
#include <algorithm>
#include <fstream>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support/slow_engine.h"
#include "tests/support/tintype_process.h"
#include "vmm/machine/machine.h"

namespace tintype::test {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int kRounds = 4;
constexpr auto kLongest = 1s;             ///< half of the requests take more than half of it
constexpr std::uint64_t kSoon = 200'000;  ///< microseconds: all of 32 requests have never ended by then

std::uint64_t least(const std::vector<std::uint64_t>& values) {
  return *std::min_element(values.begin(), values.end());
}

/// A guest with 32 requests in flight all the time.
class BusyMachine {
 public:
  explicit BusyMachine(const TestDirectory& directory) : output_(directory / "output") {
    MachineConfig config;
    config.name = "busy";
    config.kernel = guest_image("blkbench");
    config.append = "op=randwrite bs=4K depth=32 seconds=1000";
    config.memory = 32 << 20;
    config.disks.push_back({directory.blank_image("a.img", 8 << 20), DiskMode::kPersistent, false, {}});
    config.serial = {SerialKind::kFile, output_};
    config.disk_tuning.make_engine = [] {
      return std::make_unique<SlowEngine>(make_io_engine(IoEngineKind::kAuto), kLongest, 7);
    };
    machine_ = boot_machine(config);
    machine_->start();
    waiter_ = std::thread([this] { machine_->wait(); });
  }
  ~BusyMachine() {
    machine_->stop(true);
    waiter_.join();
  }
  Machine& machine() { return *machine_; }
  bool has_begun() const {
    for (int i = 0; i < 3000; ++i) {
      std::ifstream file(output_);
      const std::string all((std::istreambuf_iterator<char>(file)), {});
      if (all.find("BLK sectors=") != std::string::npos) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }

 private:
  std::filesystem::path output_;
  std::unique_ptr<Machine> machine_;
  std::thread waiter_;
};

}  // namespace

// The quickest of several: on a crowded host one may take long for other reasons.
TEST_CASE("no pause waits for a host disk that takes half a second a request") {
  const TestDirectory directory;
  BusyMachine busy(directory);
  REQUIRE(busy.has_begun());
  std::this_thread::sleep_for(100ms);  // requests are under way
  std::vector<std::uint64_t> by_user, by_checkpoint;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = Clock::now();
    busy.machine().pause();
    by_user.push_back(static_cast<std::uint64_t>((Clock::now() - start) / 1us));
    busy.machine().resume();
    CheckpointOptions options;
    options.repository = directory / ("repository-" + std::to_string(round));
    by_checkpoint.push_back(busy.machine().checkpoint(options, {}).pause_us.total);
  }
  CHECK(least(by_user) < kSoon);
  CHECK(least(by_checkpoint) < kSoon);
}

}  // namespace tintype::test
