// SPDX-License-Identifier: Apache-2.0
// Kernels start, and crash, as they should.
#include <fstream>

#include <doctest/doctest.h>

#include "tests/support/tintype_process.h"

namespace tintype::test {

namespace {

void write_bytes(const std::filesystem::path& path, std::initializer_list<unsigned char> bytes) {
  std::ofstream file(path, std::ios::binary);
  for (const unsigned char byte : bytes) file.put(static_cast<char>(byte));
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a test kernel's exit code comes out as QEMU's debug-exit device would give it") {
  const TestDirectory directory;
  MachineProcess machine({"run", "--kernel", guest_image("hello"), "--append", "exit=3"});
  CHECK(machine.wait_for("HELLO"));
  CHECK(machine.wait() == 7);
}

TEST_CASE("memory above the hole is there and is told of") {
  const TestDirectory directory;
  MachineProcess machine({"run", "--kernel", guest_image("hello"), "--memory", "6G"});
  const auto line = machine.wait_for("memory_kib=");
  REQUIRE(line);
  CHECK(contains(*line, "memory_kib=6291"));
}

TEST_CASE("all CPUs start, lock and interrupt each other") {
  const TestDirectory directory;
  MachineProcess machine({"run", "--kernel", guest_image("smp"), "--cpus", "4", "--append", "rounds=2 locks=2000"});
  CHECK(machine.wait_for("SMP cpus=4", std::chrono::seconds(60)));
  CHECK(machine.wait(std::chrono::seconds(60)) == 1);  // debug-exit 0
}

TEST_CASE("a flat real-mode binary runs at 0x7c00, and a triple fault tells where") {
  const TestDirectory directory;
  write_bytes(directory / "crash.bin", {0x66, 0xbb, 0x78, 0x56, 0x34, 0x12,  // mov ebx, 0x12345678
                                        0x0f, 0x01, 0x16, 0x00, 0x7d,        // lgdt [0x7d00]: zeros, an empty table
                                        0x0f, 0x01, 0x1e, 0x00, 0x7d,        // lidt [0x7d00]: likewise
                                        0x0f, 0x20, 0xc0,                    // mov eax, cr0
                                        0x0c, 0x01,                          // or al, 1
                                        0x0f, 0x22, 0xc0,                    // mov cr0, eax: protected mode
                                        0xb8, 0x08, 0x00,                    // mov ax, 8
                                        0x8e, 0xd8});  // mov ds, ax: no such segment, and no handler for that
  const CommandResult result = tintype({"run", "--kernel", directory / "crash.bin", "--serial", "null"});
  CHECK(result.exit_code == 1);
  CHECK(contains(result.err, "triple fault"));
  if (contains(result.err, "AMD processors forget it")) {  // and only then are these the registers of a reset
    CHECK(contains(result.err, "rip 000000000000fff0"));
    return;
  }
  CHECK(contains(result.err, "12345678"));
  CHECK(contains(result.err, "-> 7c1b: 8e d8                         mov ds, ax"));
  CHECK(contains(result.err, "crash.bin"));
}

TEST_CASE("a guest that resets its machine does not end like one that powers off") {
  const TestDirectory directory;
  write_bytes(directory / "reset.bin", {0xb0, 0xfe, 0xe6, 0x64, 0xf4});  // mov al, 0xfe; out 0x64, al; hlt
  const CommandResult result =
      tintype({"run", "--kernel", directory / "reset.bin", "--serial", "null", "--json", "--fail-on-reset"});
  CHECK(result.exit_code == 1);
  CHECK(contains(result.out, "\"reset\""));
}

TEST_CASE("a trace names the instruction and the device of each exit") {
  const TestDirectory directory;
  const CommandResult result = tintype({"run", "--kernel", guest_image("hello"), "--serial", "null", "--trace", "pio"});
  CHECK(contains(result.err, "port 0x3f8"));
  CHECK(contains(result.err, "device com1"));
  CHECK(contains(result.err, "out"));
}

TEST_CASE("the ticker ticks, each line once") {
  const TestDirectory directory;
  MachineProcess machine({"run", "--kernel", guest_image("ticker"), "--append", "hz=100 every=5 ticks=10"});
  for (int line = 1; line <= 10; ++line) {
    const auto text = machine.wait_for("TICK ");
    REQUIRE(text);
    CHECK(contains(*text, " " + std::to_string(line) + " tsc="));
  }
  CHECK(machine.wait() == 1);
}

}  // namespace tintype::test
