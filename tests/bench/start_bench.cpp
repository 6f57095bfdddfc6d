// SPDX-License-Identifier: Apache-2.0
// From exec to the first byte that `hello` prints, and what the process takes beyond the guest's memory.
#include <chrono>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "tests/bench/guest_work.h"
#include "tests/bench/qemu.h"

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
  return first_byte_ms([] {
    return std::make_unique<MachineProcess>(
        "qemu-system-x86_64",
        Arguments{"-M", "microvm,x-option-roms=off,isa-serial=on,acpi=off", "-enable-kvm", "-m", "1G", "-nodefaults",
                  "-no-user-config", "-display", "none", "-serial", "stdio", "-device",
                  "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", guest_image("hello")});
  });
}

/// Resident memory in KiB of all mappings but the one of the guest's size.
long resident_beyond_guest_kib(pid_t pid, std::uint64_t guest_bytes) {
  std::ifstream smaps("/proc/" + std::to_string(pid) + "/smaps");
  long sum = 0, resident = 0;
  bool guest = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long start = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &start, &end) == 2) guest = end - start >= guest_bytes;
    if (std::sscanf(line.c_str(), "Rss: %ld kB", &resident) == 1 && !guest) sum += resident;
  }
  return sum;
}

long idle_memory_kib() {
  const TestDirectory directory;
  MachineProcess machine({"run", "--kernel", guest_image("ticker"), "--memory", "1G", "--append", "hz=20"});
  if (!machine.wait_for("TICK")) throw std::runtime_error("ticker does not tick");
  std::this_thread::sleep_for(std::chrono::seconds(1));
  return resident_beyond_guest_kib(machine.pid(), 1 << 30);
}

int run() {
  const TestDirectory directory;
  std::vector<double> ours, qemu;
  for (int i = 0; i < kStarts; ++i) {
    ours.push_back(tintype_start_ms());
    if (i % 4 == 0) qemu.push_back(qemu_start_ms());
  }
  const long memory = idle_memory_kib();
  fmt::print(
      "exec to hello's first byte, 1 GiB   tintype {:.1f} ms median, QEMU microvm {:.1f} ms: a ratio of {:.3f}\n",
      median(ours), median(qemu), median(ours) / median(qemu));
  fmt::print("memory beyond the guest's, idle     {:.1f} MiB resident\n", static_cast<double>(memory) / 1024);
  fmt::print("goals: at most 10 ms {}, at most 20 MiB {}\n", median(ours) <= 10 ? "met" : "MISSED",
             memory <= 20 * 1024 ? "met" : "MISSED");
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
