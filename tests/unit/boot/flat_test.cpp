// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/unit/boot/test_images.h"

namespace tintype {

using namespace test;

TEST_CASE("a flat image starts as a boot sector does") {
  TestBoot boot(kMinimumMemory);
  boot.load({0xba, 0xf8, 0x03, 0xf4});
  CHECK(boot.plan.entry.mode == CpuMode::kReal16);
  CHECK(boot.plan.entry.rip == 0x7c00);
  CHECK(boot.plan.entry.rsp == 0x7c00);
  CHECK(boot.plan.entry.rdx == 0x80);
  CHECK(boot.at<std::uint32_t>(0x7c00) == 0xf403f8ba);
}

TEST_CASE("a real-mode interrupt returns, because there is no BIOS behind it") {
  TestBoot boot(kMinimumMemory);
  boot.load({0xcd, 0x10, 0xf4});
  const auto vector = boot.at<std::uint32_t>(0x10 * 4);
  CHECK(boot.at<std::uint8_t>((vector >> 16 << 4) + (vector & 0xffff)) == 0xcf);
}

TEST_CASE("the BIOS data area leads to the extended one and to the memory size") {
  TestBoot boot(kMinimumMemory);
  boot.load({0xf4});
  CHECK(boot.at<std::uint16_t>(0x40e) * 16 == kExtendedBiosArea.start);
  CHECK(boot.at<std::uint16_t>(0x413) == 639);
}

TEST_CASE("a flat image cannot be given an initrd silently") {
  TestBoot boot;
  boot.give_initrd({1, 2, 3});
  CHECK(boot.refusal({0xf4}).find("leave out --initrd") != std::string::npos);
}

TEST_CASE("a flat image touches no page above the first mebibyte") {
  TestBoot boot;
  boot.load({0xf4});
  for (std::uint64_t page = 256; page < boot.memory.pages(); ++page) CHECK_FALSE(boot.memory.dirty().test(page));
}

TEST_CASE("hardware interrupts are acknowledged by handlers of the firmware's, and the timer's counts") {
  TestBoot boot(kMinimumMemory);
  boot.load({0xf4});
  const auto handler = [&](unsigned vector) {
    const auto pointer = boot.at<std::uint32_t>(vector * 4);
    return std::uint64_t{pointer >> 16 << 4} + (pointer & 0xffff);
  };
  CHECK(boot.at<std::uint8_t>(handler(0x08)) == 0x1e);          // push ds
  CHECK(boot.at<std::uint16_t>(handler(0x08) + 40) == 0x1ccd);  // int 0x1c
  CHECK(boot.at<std::uint16_t>(handler(0x09) + 3) == 0x20e6);   // out 0x20, al
  CHECK(boot.at<std::uint32_t>(handler(0x77) + 3) == 0x20e6a0e6);
  CHECK(handler(0x1c) == handler(0x10));
  CHECK(boot.plan.entry.interrupts == InterruptStart::kFirmware);
}

TEST_CASE("TR leads to a task state in which every port is permitted") {
  TestBoot boot(kMinimumMemory);
  boot.load({0xf4});
  const SegmentState& task = boot.plan.entry.task;
  const std::uint64_t bitmap = task.base + boot.at<std::uint16_t>(task.base + 0x66);
  CHECK(bitmap + 0x10000 / 8 == task.base + task.limit);  // and a byte of ones behind it
  for (std::uint64_t byte = bitmap; byte < task.base + task.limit; ++byte) CHECK(boot.at<std::uint8_t>(byte) == 0);
  CHECK(boot.at<std::uint8_t>(task.base + task.limit) == 0xff);
}

}  // namespace tintype
