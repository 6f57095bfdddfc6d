// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/unit/boot/test_images.h"
#include "vmm/boot/bzimage.h"

namespace tintype {

using namespace test;
using linux_boot::SetupHeader;
using linux_boot::ZeroPage;

namespace {

ZeroPage zero_page(const TestBoot& boot) { return boot.at<ZeroPage>(boot.plan.entry.rsi); }

std::uint64_t ramdisk_start(const ZeroPage& page) {
  return std::uint64_t{page.ext_ramdisk_image} << 32 | page.header.ramdisk_image;
}

std::string refusal(const SetupHeader& header) { return TestBoot().refusal(bzimage(header)); }

TestElf vmlinux() {
  TestElf elf;
  elf.entry = 0x1000000;
  elf.segments = {{.physical = 0x1000000,
                   .content = Bytes(64, 0x90),
                   .memory_size = 0x10000,
                   .virtual_offset = linux_boot::kKernelMap},
                  {.physical = 0x1010000, .content = Bytes(64, 0x91), .memory_size = 0, .virtual_offset = 0}};
  return elf;
}

}  // namespace

TEST_CASE("a bzImage is loaded where it prefers to run and entered in long mode at 0x200") {
  TestBoot boot;
  boot.load(bzimage());
  CHECK(boot.plan.kind == ImageKind::kBzImage);
  CHECK(boot.plan.entry.mode == CpuMode::kLong64);
  CHECK(boot.plan.entry.interrupts == InterruptStart::kMasked);
  CHECK(boot.plan.entry.rip == kTestPreferredAddress + 0x200);
  CHECK(boot.at<std::uint8_t>(kTestPreferredAddress) == 0xb2);
  CHECK(boot.at<std::uint8_t>(kTestPreferredAddress + 4095) == 0xb2);
  CHECK(boot.at<std::uint8_t>(kTestPreferredAddress + 4096) == 0);
  CHECK(boot.at<std::uint64_t>(boot.plan.entry.cr3) == (kPageTableArea.start + 0x1000 + 3));
}

TEST_CASE("the zero page keeps the kernel's own header and says what a loader has to say") {
  TestBoot boot;
  boot.request.append = "console=ttyS0";
  boot.load(bzimage());
  const ZeroPage page = zero_page(boot);
  CHECK(+page.header.magic == linux_boot::kMagic);
  CHECK(+page.header.kernel_alignment == 0x200000);
  CHECK(page.header.loader_type == 0xff);
  CHECK(+page.rsdp == kAcpiArea.start);
  CHECK(boot.text_at(page.header.command_line) == "console=ttyS0");
  CHECK(+page.ext_command_line == 0);
  CHECK(page.edd_and_sentinel == std::array<std::uint8_t, 8>{});
}

TEST_CASE("nothing is added to Linux's command line: it reads ACPI") {
  TestBoot boot;
  boot.request.append = "quiet";
  boot.request.slots = {{0xd0000000, 0x1000, 5}};
  boot.load(bzimage());
  CHECK(boot.text_at(zero_page(boot).header.command_line) == "quiet");
}

TEST_CASE("the e820 map of a machine with memory above the hole has the hole in it") {
  TestBoot boot(kHoleStart + (256 << 20));
  boot.load(bzimage());
  const ZeroPage page = zero_page(boot);
  const auto expected = memory_map(kHoleStart + (256 << 20));
  REQUIRE(page.map_entries == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(std::uint64_t{page.map[i].start} == expected[i].start);
    CHECK(std::uint64_t{page.map[i].size} == expected[i].size);
  }
  CHECK(std::uint64_t{page.map[expected.size() - 1].start} == kHoleEnd);
}

TEST_CASE("the initrd lies as high as the kernel can reach, and not on the kernel") {
  TestBoot boot(64 << 20);
  boot.give_initrd(Bytes(6000, 0x66));
  boot.load(bzimage());
  const ZeroPage page = zero_page(boot);
  CHECK(ramdisk_start(page) == (64 << 20) - 8192);
  CHECK(+page.header.ramdisk_size == 6000);
  CHECK(boot.at<std::uint8_t>(ramdisk_start(page) + 5999) == 0x66);

  SetupHeader near = good_setup_header();
  near.initrd_address_max = 0xffffff;
  boot.memory.dirty().take();
  TestBoot low(64 << 20);
  low.give_initrd(Bytes(6000, 0x66));
  low.load(bzimage(near));
  CHECK(ramdisk_start(zero_page(low)) == (16 << 20) - 8192);
}

TEST_CASE("an initrd that fills the space below the hole goes above 4 GiB only if the kernel can reach it") {
  SetupHeader header = good_setup_header();
  header.preferred_address = 0x200000;
  header.init_size =
      static_cast<std::uint32_t>(kHoleStart - 0x200000 - 0x1000);  // leaves a page, the kernel takes the rest
  TestBoot boot(kHoleStart + (16 << 20));
  boot.give_initrd(Bytes(2 << 20, 0x66));
  contains(boot.refusal(bzimage(header)), "raise --memory");
  header.xload_flags |= linux_boot::kCanBeLoadedAbove4G;
  TestBoot far(kHoleStart + (16 << 20));
  far.give_initrd(Bytes(2 << 20, 0x66));
  far.load(bzimage(header));
  CHECK(ramdisk_start(zero_page(far)) == kHoleEnd + (14 << 20));
}

TEST_CASE("a truncated bzImage is truncated, one that only lacks its padding is not") {
  Bytes file = bzimage();
  file.resize(file.size() - 15);
  TestBoot().load(file);
  file.pop_back();
  contains(TestBoot().refusal(file), "truncated");
  file.resize(0x230);
  contains(TestBoot().refusal(file), "truncated");
}

TEST_CASE("kernels too old, of 32 bits, or to be loaded low are refused by name") {
  SetupHeader header = good_setup_header();
  header.version = 0x0204;
  contains(refusal(header), "boot protocol 2.04");
  header = good_setup_header();
  header.xload_flags = 0;
  contains(refusal(header), "32-bit");
  header = good_setup_header();
  header.load_flags = 0;
  contains(refusal(header), "zImage");
}

TEST_CASE("a kernel that needs more memory than there is says how much") {
  SetupHeader header = good_setup_header();
  header.init_size = 100 << 20;
  contains(refusal(header), "--memory 102M");
}

TEST_CASE("a setup header that makes no sense is refused before anything is computed from it") {
  SetupHeader header = good_setup_header();
  header.preferred_address = ~0ULL & ~0x1fffffULL;
  contains(refusal(header), "no machine has memory");
  header.preferred_address = 0x1000;
  contains(refusal(header), "damaged");
  header = good_setup_header();
  header.kernel_alignment = 0;
  contains(refusal(header), "damaged");
  header = good_setup_header();
  header.system_size = 0;
  contains(refusal(header), "damaged");
  header.system_size = ~std::uint32_t{0};
  contains(refusal(header), "truncated");
}

TEST_CASE("what a shorter header does not have is not read from the code behind it") {
  SetupHeader header = good_setup_header();
  header.jump = (0x264 - 0x202) << 8 | 0xeb;  // ends after init_size
  header.handover_offset = 0xdeadbeef;
  TestBoot boot;
  boot.load(bzimage(header));
  CHECK(zero_page(boot).header.init_size == 0x20000U);
  CHECK(zero_page(boot).header.handover_offset == 0);
}

TEST_CASE("a command line longer than the kernel takes is refused, not cut") {
  TestBoot boot;
  boot.request.append = std::string(2047, 'a');
  boot.load(bzimage());
  boot.request.append += 'a';
  contains(TestBoot(boot.memory.size()).refusal({}), "empty");
  TestBoot longer;
  longer.request.append = boot.request.append;
  contains(longer.refusal(bzimage()), "2047 at most");
}

TEST_CASE("a vmlinux without a PVH note is entered by the 64-bit protocol") {
  TestBoot boot(64 << 20);
  boot.request.append = "quiet";
  boot.give_initrd(Bytes(10, 1));
  boot.load(elf64(vmlinux()));
  CHECK(boot.plan.kind == ImageKind::kLinuxElf);
  CHECK(boot.plan.entry.mode == CpuMode::kLong64);
  CHECK(boot.plan.entry.rip == 0x1000000);
  const ZeroPage page = zero_page(boot);
  CHECK(+page.header.boot_flag == 0xaa55);
  CHECK(+page.header.magic == linux_boot::kMagic);
  CHECK(+page.header.ramdisk_size == 10);
  CHECK(boot.text_at(page.header.command_line) == "quiet");
}

TEST_CASE("a vmlinux with a PVH note goes by PVH") {
  TestElf elf = vmlinux();
  elf.notes = pvh_note(0x1000010, 8);
  TestBoot boot(64 << 20);
  boot.load(elf64(elf));
  CHECK(boot.plan.kind == ImageKind::kPvhElf);
}

}  // namespace tintype
