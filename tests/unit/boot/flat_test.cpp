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

}  // namespace tintype
