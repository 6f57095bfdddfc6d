// SPDX-License-Identifier: Apache-2.0
// A host disk that is full under a running machine, with on-error=pause: the machine stands, says why, and goes on when
// there is room, and the guest has noticed nothing.
#include <fstream>
#include <thread>

#include <doctest/doctest.h>

#include "tests/support/skip.h"
#include "tests/support/small_file_system.h"
#include "tests/support/tintype_process.h"
#include "vmm/base/error.h"
#include "vmm/machine/machine.h"

namespace tintype::test {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr std::uint64_t kImage = 8 << 20, kFiller = 12 << 20;

MachineConfig writer(const fs::path& image, const fs::path& output, OnDiskError on_error) {
  MachineConfig config;
  config.name = "writer";
  config.kernel = guest_image("blkbench");
  config.append = "op=write bs=64K depth=4 seconds=2 warmup_ms=0 flush=8";
  config.memory = 32 << 20;
  config.disks.push_back({image, DiskMode::kPersistent, false, {}});
  config.disks.front().behaviour.on_error = on_error;
  config.serial = {SerialKind::kFile, output};
  return config;
}

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

template <typename Condition>
bool comes_true(Condition condition) {
  for (int i = 0; i < 6000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

}  // namespace

TEST_CASE("a machine whose host disk is full stands still until there is room, and its guest notices nothing") {
  const TestDirectory directory;
  const fs::path place = directory / "small", output = directory / "output";
  const SmallFileSystem small(place, "16m");
  if (!small.mounted()) SKIP_TEST("no file system can be mounted here");
  const fs::path image = place / "disk.img", filler = place / "filler";
  std::ofstream(image).close();
  fs::resize_file(image, kImage);  // a hole, which the guest fills
  std::ofstream(filler, std::ios::binary) << std::string(kFiller, 'x');
  const auto machine = boot_machine(writer(image, output, OnDiskError::kPause));
  machine->start();
  const auto stands = [&] {
    const MachineStatus status = machine->status();
    return status.state == RunState::kPaused && !status.disk_problems.empty();
  };
  REQUIRE(comes_true(stands));
  CHECK(machine->status().disk_problems.front().problem.find("space") != std::string::npos);
  machine->resume();  // nothing has changed
  REQUIRE(comes_true(stands));
  CHECK(text_of(output).find("BROKEN") == std::string::npos);
  fs::remove(filler);
  machine->resume();
  CHECK(comes_true([&] { return machine->status().state == RunState::kStopped; }));
  machine->wait();
  const std::string said = text_of(output);
  CHECK(said.find("BLK DONE") != std::string::npos);
  CHECK(said.find("BROKEN") == std::string::npos);
}

TEST_CASE("a machine whose redo log has no room cannot go back to its mark, which costs the guest nothing") {
  const TestDirectory directory;
  const fs::path place = directory / "small", output = directory / "output", image = directory / "disk.img";
  const fs::path filler = place / "filler";
  const SmallFileSystem small(place, "6m");
  if (!small.mounted()) SKIP_TEST("no file system can be mounted here");
  std::ofstream(image).close();
  fs::resize_file(image, kImage);
  MachineConfig config = writer(image, output, OnDiskError::kReport);
  config.append = "op=write bs=64K depth=4 seconds=600 warmup_ms=0 flush=8";
  config.disk_directory = place;
  std::ofstream(filler, std::ios::binary) << std::string(2 << 20, 'x');
  const auto machine = boot_machine(config);
  machine->start();
  REQUIRE(comes_true([&] { return text_of(output).find("BLK sectors=") != std::string::npos; }));
  machine->mark();
  REQUIRE(
      comes_true([&] { return !machine->status().disks_without_room.empty(); }));  // it writes more than there is room
  CHECK_THROWS_WITH_AS(machine->reset(), doctest::Contains("fresh redo log"), Error);
  std::this_thread::sleep_for(200ms);
  CHECK(machine->status().state == RunState::kRunning);
  CHECK(text_of(output).find("BROKEN") == std::string::npos);
  machine->pause();
  fs::remove(filler);
  machine->reset();
  machine->resume();
  CHECK(machine->status().state == RunState::kRunning);
  CHECK(text_of(output).find("BROKEN") == std::string::npos);
  machine->stop(true);
  machine->wait();
}

TEST_CASE("without on-error=pause the guest is told") {
  const TestDirectory directory;
  const fs::path place = directory / "small", output = directory / "output";
  const SmallFileSystem small(place, "16m");
  if (!small.mounted()) SKIP_TEST("no file system can be mounted here");
  const fs::path image = place / "disk.img";
  std::ofstream(image).close();
  fs::resize_file(image, kImage);
  std::ofstream(place / "filler", std::ios::binary) << std::string(kFiller, 'x');
  const auto machine = boot_machine(writer(image, output, OnDiskError::kReport));
  machine->start();
  CHECK(comes_true([&] { return machine->status().state == RunState::kStopped; }));
  machine->wait();
  CHECK(text_of(output).find("BLK BROKEN") != std::string::npos);
}

}  // namespace tintype::test
