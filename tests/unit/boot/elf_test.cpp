// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/elf.h"

#include <doctest/doctest.h>

#include "tests/unit/boot/test_images.h"
#include "vmm/boot/pvh_spec.h"

namespace tintype {

using namespace test;

namespace {

TestElf pvh_kernel(std::size_t note_size = 4) {
  TestElf elf;
  elf.notes = pvh_note(0x100010, note_size);
  return elf;
}

std::string refusal(const TestElf& elf) { return TestBoot().refusal(elf32(elf)); }

pvh::StartInfo start_info(const TestBoot& boot) { return boot.at<pvh::StartInfo>(boot.plan.entry.rbx); }

}  // namespace

TEST_CASE("a PVH kernel of either class is entered at its note, in protected mode") {
  for (const Bytes& file : {elf32(pvh_kernel()), elf64(pvh_kernel(8)), elf64(pvh_kernel(4))}) {
    TestBoot boot;
    boot.load(file);
    CHECK(boot.plan.kind == ImageKind::kPvhElf);
    CHECK(boot.plan.entry.mode == CpuMode::kProtected32);
    CHECK(boot.plan.entry.interrupts == InterruptStart::kMasked);
    CHECK(boot.plan.entry.rip == 0x100010);
    CHECK(boot.at<std::uint8_t>(0x10003f) == 0x90);
    CHECK(boot.at<std::uint64_t>(boot.plan.entry.gdt_base + kCodeSelector) == 0x00cf9b000000ffff);
  }
}

TEST_CASE("other notes before the PVH note are passed over") {
  TestElf elf;
  elf.notes = note("GNU", 18, {1, 0, 0, 0});
  append(elf.notes, note("Xen", 5, {'x', 0, 0}));
  append(elf.notes, pvh_note(0x100020));
  TestBoot boot;
  boot.load(elf32(elf));
  CHECK(boot.plan.entry.rip == 0x100020);
}

TEST_CASE("PVH start info leads to command line, memory map and tables") {
  TestBoot boot(64 << 20);
  boot.request.append = "panic=1 quiet";
  boot.request.slots = {{0xd0000000, 0x1000, 5}, {0xd0001000, 0x1000, 6}};
  boot.load(elf32(pvh_kernel()));
  const pvh::StartInfo info = start_info(boot);
  CHECK(info.magic == 0x336ec578);
  CHECK(info.version == 1);
  CHECK(info.module_count == 0);
  CHECK(boot.text_at(info.command_line) ==
        "panic=1 quiet virtio_mmio.device=4K@0xd0000000:5 virtio_mmio.device=4K@0xd0001000:6");
  CHECK(boot.at<std::uint64_t>(info.rsdp) == 0x2052545020445352);  // "RSD PTR "
  const auto expected = memory_map(64 << 20);
  REQUIRE(info.memory_map_entries == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto entry = boot.at<pvh::MapEntry>(info.memory_map + i * sizeof(pvh::MapEntry));
    CHECK(entry.start == expected[i].start);
    CHECK(entry.size == expected[i].size);
    CHECK(entry.kind == static_cast<std::uint32_t>(expected[i].kind));
  }
}

TEST_CASE("a virtio_mmio.device option of the user's own is not added to") {
  TestBoot boot;
  boot.request.append = "virtio_mmio.device=512@0xd0000000:7";
  boot.request.slots = {{0xd0000000, 0x1000, 5}};
  boot.load(elf32(pvh_kernel()));
  CHECK(boot.text_at(start_info(boot).command_line) == boot.request.append);
}

TEST_CASE("a PVH kernel's initrd lies at the top of memory, whole and page-aligned") {
  TestBoot boot(8 << 20);
  boot.give_initrd(Bytes(5000, 0x77));
  boot.load(elf32(pvh_kernel()));
  const auto module = boot.at<pvh::Module>(start_info(boot).modules);
  CHECK(start_info(boot).module_count == 1);
  CHECK(module.start == (8 << 20) - 8192);
  CHECK(module.size == 5000);
  CHECK(boot.at<std::uint8_t>(module.start) == 0x77);
  CHECK(boot.at<std::uint8_t>(module.start + 4999) == 0x77);
  CHECK(boot.at<std::uint8_t>(module.start + 5000) == 0);
}

TEST_CASE("an initrd that does not fit beside the kernel is refused, not squeezed in") {
  TestBoot boot(2 << 20);
  boot.give_initrd(Bytes(1 << 20, 1));
  contains(boot.refusal(elf32(pvh_kernel())), "raise --memory");
  boot.request.initrd = "/no/such/initrd";
  contains(boot.refusal(elf32(pvh_kernel())), "there is no initrd");
  boot.give_initrd({});
  contains(boot.refusal(elf32(pvh_kernel())), "initrd");
}

TEST_CASE("memory past a segment's file part is left alone, and counts as the segment's") {
  TestElf elf = pvh_kernel();
  elf.segments[0].memory_size = 0x2000;
  TestBoot boot;
  boot.load(elf32(elf));
  const LoadedPart* part = find_part(boot.plan.parts, 0x101fff);
  REQUIRE(part != nullptr);
  CHECK(part->name == "segment 0");
  CHECK(part->file_size == 64);
  CHECK(boot.at<std::uint8_t>(0x100040) == 0);
  CHECK_FALSE(boot.memory.dirty().test(0x101));
}

TEST_CASE("segments are marked dirty where they were loaded") {
  TestBoot boot;
  boot.load(elf32(pvh_kernel()));
  CHECK(boot.memory.dirty().test(0x100));
}

TEST_CASE("a segment that the file does not hold whole is truncation") {
  Bytes file = elf32(pvh_kernel());
  file.pop_back();
  contains(TestBoot().refusal(file), "truncated");
  file.resize(60);
  contains(TestBoot().refusal(file), "truncated");
}

TEST_CASE("a segment outside memory, in the hole, or around the end of addresses is refused") {
  TestElf elf = pvh_kernel();
  elf.segments[0].memory_size = 1 << 30;
  contains(refusal(elf), "--memory 1025M");
  elf.segments[0] = {.physical = 0xd0000000, .content = Bytes(16)};
  contains(refusal(elf), "below 3 GiB");
  elf.segments[0] = {.physical = ~0ULL - 7, .content = Bytes(16)};
  contains(TestBoot().refusal(elf64(elf)), "below 3 GiB");
}

TEST_CASE("a segment on our tables, or on another segment, is refused") {
  TestElf elf = pvh_kernel();
  elf.segments.push_back({.physical = kBootInfoArea.start + 8, .content = Bytes(16)});
  contains(refusal(elf), "boot information");
  elf.segments.back().physical = kAcpiArea.start;
  contains(refusal(elf), "ACPI");
  elf.segments.back().physical = 0x10003f;
  contains(refusal(elf), "segment 0");
}

TEST_CASE("a kernel linked low keeps the memory below our tables, vectors included") {
  TestElf elf = pvh_kernel();
  elf.segments.push_back({.physical = 0, .content = Bytes(0x80000, 0x33)});
  TestBoot boot;
  boot.load(elf32(elf));
  CHECK(boot.at<std::uint32_t>(0x40) == 0x33333333);
}

TEST_CASE("a kernel whose file headers are loaded in the page below 1 MiB, as linkers like to do, is loaded whole") {
  TestElf elf = pvh_kernel();
  elf.segments.push_back({.physical = 0xff000, .content = Bytes(0x1000, 0x44)});
  TestBoot boot;
  boot.load(elf32(elf));
  CHECK(boot.at<std::uint32_t>(0xff000) == 0x44444444);
  CHECK(boot.at<std::uint8_t>(0xfff53) == 0x44);  // the handler of interrupts is the kernel's to overwrite
}

TEST_CASE("more bytes in the file than in memory is damage, not an overflow") {
  Bytes file = elf32(pvh_kernel());
  Elf32_Phdr program{};
  const std::size_t at = sizeof(Elf32_Ehdr) + sizeof program;
  std::memcpy(&program, &file[at], sizeof program);
  program.p_memsz = program.p_filesz - 1;
  put(file, at, program);
  contains(TestBoot().refusal(file), "damaged");
}

TEST_CASE("an entry point outside the kernel is refused") {
  TestElf elf = pvh_kernel();
  elf.notes = pvh_note(0x200000);
  contains(refusal(elf), "in none of its segments");
  elf.notes = pvh_note(0x1'0000'0000, 8);
  contains(TestBoot().refusal(elf64(elf)), "above 4 GiB");
}

TEST_CASE("what is no kernel among ELF files is named for what it is") {
  TestElf elf = pvh_kernel();
  elf.type = ET_DYN;
  contains(refusal(elf), "position-independent");
  elf.type = ET_REL;
  contains(refusal(elf), "object file");
  elf.type = ET_CORE;
  contains(refusal(elf), "type 4");
  elf = pvh_kernel();
  elf.machine = EM_AARCH64;
  contains(refusal(elf), "another kind of processor");
  elf = TestElf{};
  contains(refusal(elf), "neither a PVH note nor a multiboot header");
  contains(TestBoot().refusal(elf64(elf)), "neither a PVH note nor a multiboot header");
}

TEST_CASE("a byte order, class or table size that makes no sense is refused") {
  const Bytes good = elf32(pvh_kernel());
  const auto with = [&](std::size_t offset, std::uint8_t value) {
    Bytes file = good;
    file[offset] = value;
    return TestBoot().refusal(file);
  };
  contains(with(EI_DATA, ELFDATA2MSB), "byte order");
  contains(with(EI_CLASS, 9), "neither");
  contains(with(offsetof(Elf32_Ehdr, e_phentsize), 1), "segments");
  contains(with(offsetof(Elf32_Ehdr, e_phnum) + 1, 0xff), "segments");
  contains(with(offsetof(Elf32_Ehdr, e_phoff) + 3, 0xff), "truncated");
}

TEST_CASE("notes whose lengths lead out of their segment end the search, not the program") {
  TestElf elf = pvh_kernel();
  put(elf.notes, 0, ~std::uint32_t{0});
  contains(refusal(elf), "neither a PVH note");
  elf = pvh_kernel();
  put(elf.notes, 4, ~std::uint32_t{0});
  contains(refusal(elf), "neither a PVH note");
  elf.notes = note("Xen", 18, {1, 2});
  contains(refusal(elf), "PVH note");
}

TEST_CASE("a command line of any length that there is no room for is refused") {
  TestBoot boot;
  boot.request.append = std::string(kCommandLineArea.size - 1, 'x');
  boot.load(elf32(pvh_kernel()));
  CHECK(boot.text_at(kCommandLineArea.start).size() == kCommandLineArea.size - 1);
  TestBoot longer;
  longer.request.append = std::string(kCommandLineArea.size, 'x');
  contains(longer.refusal(elf32(pvh_kernel())), "shorten --append");
  longer.request.append = std::string("a\0b", 3);
  contains(longer.refusal(elf32(pvh_kernel())), "zero byte");
}

}  // namespace tintype
