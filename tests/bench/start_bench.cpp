// SPDX-License-Identifier: Apache-2.0
// From exec to the first byte that `hello` prints, and what the process takes beyond the guest's memory.
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "tests/bench/qemu_guest.h"
#include "tests/bench/resident.h"
#include "tests/bench/statistics.h"

namespace tintype::test {
namespace {

constexpr int kStarts = 20;

template <typename Start>
double first_byte_ms(Start&& start) {
  const auto begin = std::chrono::steady_clock::now();
  auto process = start();
  if (!process->wait_for("HELLO")) throw std::runtime_error("hello says nothing");
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

double tintype_start_ms() {
  return first_byte_ms([] {
    return std::make_unique<MachineProcess>(Arguments{"run", "--kernel", guest_image("hello"), "--memory", "1G"});
  });
}

double qemu_start_ms() {
  return first_byte_ms(
      [] { return std::make_unique<MachineProcess>("qemu-system-x86_64", qemu_arguments("hello", "", "1G")); });
}

double idle_memory_mib() {
  const TestDirectory directory;
  MachineProcess machine({"run", "--kernel", guest_image("ticker"), "--memory", "1G", "--append", "hz=20"});
  if (!machine.wait_for("TICK")) throw std::runtime_error("ticker does not tick");
  std::this_thread::sleep_for(std::chrono::seconds(1));
  return resident_beyond_guest_mib(machine.pid(), 1 << 30);
}

int run() {
  const TestDirectory directory;
  std::vector<double> ours, qemu;
  for (int i = 0; i < kStarts; ++i) {
    ours.push_back(tintype_start_ms());
    if (i % 4 == 0) qemu.push_back(qemu_start_ms());
  }
  const double memory = idle_memory_mib();
  fmt::print(
      "exec to hello's first byte, 1 GiB   tintype {:.1f} ms median, QEMU microvm {:.1f} ms: a ratio of {:.3f}\n",
      median(ours), median(qemu), median(ours) / median(qemu));
  fmt::print("memory beyond the guest's, idle     {:.1f} MiB resident\n", memory);
  fmt::print("goals: at most 10 ms {}, at most 20 MiB {}\n", median(ours) <= 10 ? "met" : "MISSED",
             memory <= 20 ? "met" : "MISSED");
  return 0;
}

}  // namespace
}  // namespace tintype::test

int main() {
  try {
    return tintype::test::run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "start_bench: %s\n", error.what());
    return 1;
  }
}
