// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include <doctest/doctest.h>

#include "tests/support/tintype_process.h"
#include "vmm/base/thread.h"
#include "vmm/machine/machine.h"

namespace tintype::test {

namespace {

std::string text_of(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

MachineConfig busy_machine(const std::filesystem::path& output) {
  MachineConfig config;
  config.name = "busy";
  config.kernel = guest_image("smp");
  config.append = "locks=2000";
  config.cpus = 4;
  config.memory = 64 << 20;
  config.serial = {SerialKind::kFile, output};
  return config;
}

}  // namespace

TEST_CASE("a thousand pauses of a busy machine with four CPUs lose nothing") {
  const TestDirectory directory;
  const auto machine = boot_machine(busy_machine(directory / "out"));
  machine->start();
  std::mt19937 random(1);
  for (int i = 0; i < 1000; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
    machine->pause();
    machine->resume();
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));  // rounds in which everything must add up
  const std::string before_stop = text_of(directory / "out");
  machine->stop(true);
  CHECK(machine->wait().reason == "stopped");
  CHECK(before_stop.find("SMP cpus=4") != std::string::npos);
  CHECK(before_stop.find("BROKEN") == std::string::npos);
}

TEST_CASE("a paused machine stands still, and ends when it is told to") {
  const TestDirectory directory;
  const auto machine = boot_machine(busy_machine(directory / "out"));
  machine->start();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  machine->pause();
  machine->pause();  // again: nothing happens
  const std::uint64_t exits = machine->status().exits;
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK(machine->status().exits == exits);
  CHECK(machine->status().state == RunState::kPaused);
  machine->stop(false, std::chrono::milliseconds(100));
  CHECK(machine->wait().exit_code == 0);
}

}  // namespace tintype::test
