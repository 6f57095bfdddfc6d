// SPDX-License-Identifier: Apache-2.0
// What a kernel finds when it is entered: guests that run elsewhere run here.
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include <doctest/doctest.h>

#include "tests/support/tintype_process.h"

namespace tintype::test {

namespace {

using Seconds = std::chrono::seconds;

std::filesystem::path probe(const std::string& name) { return guest_image("probes/" + name); }

/// The probe without its PVH note, so that it is entered by multiboot.
std::filesystem::path multiboot_only(const TestDirectory& directory, const std::string& name) {
  std::ifstream in(probe(name), std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const auto note = bytes.find(std::string("Xen\0", 4));
  REQUIRE(note != std::string::npos);
  bytes[note] = 'N';
  const auto path = directory / (name + "-multiboot.elf");
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

constexpr Seconds kPatience(120);  // a crowded rig takes 15 s for what takes 1 s elsewhere
constexpr int kLeftWithZero = 1;   // the debug-exit port: value * 2 + 1

void check_passes(const std::filesystem::path& kernel, const std::string& verdict) {
  CAPTURE(kernel);
  MachineProcess machine({"run", "--kernel", kernel, "--memory", "64M"});
  CHECK(machine.wait_for(verdict, kPatience));
  CHECK(machine.wait(kPatience) == kLeftWithZero);
}

struct CpuidRegisters {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

/// What ring 0 sees, by leaf.
std::map<std::uint32_t, CpuidRegisters> shown_cpuid() {
  std::map<std::uint32_t, CpuidRegisters> shown;
  std::istringstream lines(tintype({"run", "--kernel", probe("cpuid"), "--memory", "64M"}).out);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    std::uint32_t leaf = 0, subleaf = 0;
    char dot = 0;
    CpuidRegisters r;
    if (words >> word >> std::hex >> leaf >> dot >> subleaf >> r.eax >> r.ebx >> r.ecx >> r.edx) shown[leaf] = r;
  }
  return shown;
}

}  // namespace

TEST_CASE("ring 3 with IOPL 3 reaches its ports without a task state of its own") {
  const TestDirectory directory;
  check_passes(probe("iopl"), "IOPL OK");
  check_passes(multiboot_only(directory, "iopl"), "IOPL OK");
}

TEST_CASE("a kernel that goes back to real mode finds vectors, and a timer that wakes it") {
  const TestDirectory directory;
  MachineProcess machine({"run", "--kernel", probe("realmode"), "--memory", "64M"});
  CHECK(machine.wait_for("REALMODE interrupts"));
  CHECK(machine.wait_for("REALMODE OK"));
  CHECK(machine.wait() == kLeftWithZero);
}

TEST_CASE("a flat binary that sleeps with interrupts on is woken") {
  const TestDirectory directory;
  // sti; hlt; hlt; xor ax, ax; out 0xf4, al
  std::ofstream(directory / "sleep.bin", std::ios::binary) << "\xfb\xf4\xf4\x31\xc0\xe6\xf4";
  CHECK(tintype({"run", "--kernel", directory / "sleep.bin", "--serial", "null"}, Seconds(20)).exit_code ==
        kLeftWithZero);
}

TEST_CASE("a kernel entered by PVH is left in peace: no interrupt comes that it did not ask for") {
  const TestDirectory directory;
  // It sleeps with interrupts on and has no IDT: whatever came would end it.
  MachineProcess machine({"run", "--kernel", probe("sleeper"), "--memory", "64M"});
  REQUIRE(machine.wait_for("SLEEPER"));
  CHECK_FALSE(machine.wait_for("crashed", Seconds(1)));
  CHECK(machine.transcript() == "SLEEPER\n");
}

TEST_CASE("a register that is not there faults, and nothing worse") {
  const TestDirectory directory;
  check_passes(probe("msr"), "MSR OK");
  check_passes(multiboot_only(directory, "msr"), "MSR OK");
}

TEST_CASE("ring 0 is not shown what a checkpoint would lose or nobody delivers") {
  const auto shown = shown_cpuid();
  REQUIRE(shown.size() == 8);
  const std::uint32_t kvm_features = shown.at(0x40000001).eax;
  constexpr std::uint32_t kClock = 1U << 3, kAsyncPageFaults = 1U << 4 | 1U << 10 | 1U << 14;
  CHECK((kvm_features & kClock) != 0);
  CHECK((kvm_features & kAsyncPageFaults) == 0);
  CHECK((shown.at(0x1).ecx >> 5 & 1) == 0);         // VMX
  CHECK((shown.at(0x80000001).ecx >> 2 & 1) == 0);  // SVM
  CHECK(shown.at(0x8000000a).edx == 0);
}

}  // namespace tintype::test
