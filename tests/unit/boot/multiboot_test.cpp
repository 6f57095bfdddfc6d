// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/multiboot.h"

#include <doctest/doctest.h>

#include "tests/unit/boot/test_images.h"

namespace tintype {

using namespace test;

namespace {

TestElf multiboot_elf() {
  TestElf elf;
  elf.multiboot = true;
  elf.entry = 0x100004;
  return elf;
}

constexpr std::uint32_t kHeaderAt = 64;  // in the file of the image below

multiboot::Header good_addresses() {
  multiboot::Header header{};
  header.flags = multiboot::kHasAddresses;
  header.header_address = 0x100000 + kHeaderAt;
  header.load_address = 0x100000;
  header.load_end = 0x100200;
  header.bss_end = 0x100800;
  header.entry = 0x100100;
  return header;
}

Bytes image_with(const multiboot::Header& header, std::size_t size = 0x300) {
  Bytes bytes(kHeaderAt, 0x11);
  append(bytes, multiboot_header(header));
  bytes.resize(size, 0x22);
  return bytes;
}

multiboot::Information information(const TestBoot& boot) {
  return boot.at<multiboot::Information>(boot.plan.entry.rbx);
}

std::string refusal(const multiboot::Header& header) { return TestBoot(4 << 20).refusal(image_with(header)); }

}  // namespace

TEST_CASE("a multiboot ELF kernel is entered at its entry point with the loader's magic") {
  TestBoot boot;
  boot.load(elf32(multiboot_elf()));
  CHECK(boot.plan.kind == ImageKind::kMultiboot);
  CHECK(boot.plan.entry.mode == CpuMode::kProtected32);
  CHECK(boot.plan.entry.interrupts == InterruptStart::kFirmware);
  CHECK(boot.plan.entry.idt_limit == 0x3ff);
  CHECK(boot.plan.entry.rip == 0x100004);
  CHECK(boot.plan.entry.rax == 0x2badb002);
}

TEST_CASE("PVH is preferred where a kernel offers both") {
  TestElf elf = multiboot_elf();
  elf.notes = pvh_note(0x100020);
  TestBoot boot;
  boot.load(elf32(elf));
  CHECK(boot.plan.kind == ImageKind::kPvhElf);
}

TEST_CASE("an entry point that is a virtual address is translated") {
  TestElf elf = multiboot_elf();
  elf.segments[0].virtual_offset = 0xc0000000;
  elf.entry = 0xc0100008;
  TestBoot boot;
  boot.load(elf32(elf));
  CHECK(boot.plan.entry.rip == 0x100008);
  CHECK(boot.part("segment 0")->virtual_start == 0xc0100000);
}

TEST_CASE("multiboot information tells memory, command line and who loaded") {
  TestBoot boot(64 << 20);
  boot.request.append = "one two";
  boot.request.slots = {{0xd0000000, 0x1000, 5}};
  boot.load(elf32(multiboot_elf()));
  const multiboot::Information info = information(boot);
  CHECK(info.memory_lower == 639);
  CHECK(info.memory_upper == 63 * 1024);
  CHECK(boot.text_at(info.command_line) ==
        boot.kernel_file.path().filename().string() + " one two virtio_mmio.device=4K@0xd0000000:5");
  CHECK(boot.text_at(info.loader_name) == "Tintype");
  CHECK((info.flags & (multiboot::kHasMemory | multiboot::kHasMemoryMap)) != 0);
  const auto first = boot.at<multiboot::MapEntry>(info.memory_map);
  CHECK(+first.size == 20);
  CHECK(+first.length == kConventionalEnd);
  CHECK(info.memory_map_length == memory_map(64 << 20).size() * 24);
}

TEST_CASE("memory past the hole is in the multiboot map but not in memory_upper") {
  TestBoot boot(kHoleStart + (64 << 20));
  boot.load(elf32(multiboot_elf()));
  const multiboot::Information info = information(boot);
  CHECK(info.memory_upper == (kHoleStart - (1 << 20)) / 1024);
  const auto last =
      boot.at<multiboot::MapEntry>(info.memory_map + info.memory_map_length - sizeof(multiboot::MapEntry));
  CHECK(+last.start == kHoleEnd);
  CHECK(+last.length == 64 << 20);
}

TEST_CASE("the initrd is a page-aligned module behind the kernel") {
  TestBoot boot;
  boot.give_initrd(Bytes(100, 0x44));
  TestElf elf = multiboot_elf();
  elf.segments[0].memory_size = 0x1001;
  boot.load(elf32(elf));
  const multiboot::Information info = information(boot);
  REQUIRE(info.module_count == 1);
  const auto module = boot.at<multiboot::Module>(info.modules);
  CHECK(module.start == 0x102000);
  CHECK(module.end == 0x102064);
  CHECK(boot.at<std::uint8_t>(module.end - 1) == 0x44);
  CHECK(boot.text_at(module.name) == boot.initrd_file.path().filename().string());
}

TEST_CASE("an image with address fields is loaded where they say, wherever its header is") {
  TestBoot boot;
  boot.load(image_with(good_addresses()));
  CHECK(boot.plan.kind == ImageKind::kMultiboot);
  CHECK(boot.plan.entry.rip == 0x100100);
  CHECK(boot.at<std::uint8_t>(0x100000) == 0x11);
  CHECK(boot.at<std::uint8_t>(0x1001ff) == 0x22);
  CHECK(boot.at<std::uint8_t>(0x100200) == 0);
  CHECK(boot.part("image")->size == 0x800);
}

TEST_CASE("without a load end an image is loaded to the end of its file") {
  multiboot::Header header = good_addresses();
  header.load_end = 0;
  header.bss_end = 0;
  TestBoot boot;
  boot.load(image_with(header));
  CHECK(boot.part("image")->file_size == 0x300);
  CHECK(boot.at<std::uint8_t>(0x1002ff) == 0x22);
}

TEST_CASE("a header that starts later than its load address skips what stands before it in the file") {
  multiboot::Header header = good_addresses();
  header.load_address = header.header_address;
  TestBoot boot;
  boot.load(image_with(header));
  CHECK(boot.at<std::uint32_t>(header.load_address) == multiboot::kHeaderMagic);
}

TEST_CASE("address fields that contradict the file or themselves are refused") {
  multiboot::Header header = good_addresses();
  header.load_end = 0x100400;
  contains(refusal(header), "truncated");
  header = good_addresses();
  header.load_address = 0x100000 - 1;
  contains(refusal(header), "before the file's beginning");
  header.load_address = header.header_address + 1;
  contains(refusal(header), "before the file's beginning");
  header = good_addresses();
  header.load_end = 0x0fffff;
  contains(refusal(header), "past its end");
  header = good_addresses();
  header.entry = 0x100800;
  contains(refusal(header), "outside the image");
  header = good_addresses();
  header.bss_end = 0xffffffff;
  contains(refusal(header), "where no machine has memory");
}

TEST_CASE("multiboot features that there are not are refused, as the specification demands") {
  TestElf elf = multiboot_elf();
  elf.multiboot_flags = 1 << 5;
  contains(TestBoot().refusal(elf32(elf)), "features");
  elf.multiboot_flags = multiboot::kWantVideo | multiboot::kWantMemory | multiboot::kAlignModules;
  TestBoot().load(elf32(elf));
}

TEST_CASE("a header without addresses in a file that is no ELF file is refused") {
  multiboot::Header header{};
  contains(refusal(header), "without addresses");
}

TEST_CASE("a header with a wrong checksum, unaligned, too late or cut off is no header") {
  const auto found = [](const Bytes& bytes) {
    return find_multiboot_header(std::as_bytes(std::span(bytes))).has_value();
  };
  Bytes good = image_with(good_addresses());
  CHECK(found(good));
  Bytes wrong = good;
  wrong[kHeaderAt + 8] ^= 1;
  CHECK_FALSE(found(wrong));
  Bytes unaligned = good;
  unaligned.insert(unaligned.begin(), 0);
  CHECK_FALSE(found(unaligned));
  Bytes late(8192);
  append(late, good);
  CHECK_FALSE(found(late));
  Bytes cut(good.begin(), good.begin() + kHeaderAt + 31);
  CHECK_FALSE(found(cut));
}

}  // namespace tintype
