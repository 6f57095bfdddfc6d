// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/entry.h"

#include <doctest/doctest.h>

namespace tintype {

TEST_CASE("the descriptor table says what the segment registers hold") {
  const EntryState protected_mode = protected_mode_entry(0x100000, 0x80000);
  const DescriptorTable table = descriptor_table(protected_mode);
  CHECK(table[0] == 0);
  CHECK(table[kCodeSelector / 8] == 0x00cf9b000000ffff);
  CHECK(table[kDataSelector / 8] == 0x00cf93000000ffff);
  CHECK(table[kTaskSelector / 8] == 0x00008b0ed0002068);
  CHECK(protected_mode.gdt_limit == sizeof table - 1);
}

TEST_CASE("64-bit code segments have L set and D clear, or the CPU faults at once") {
  const EntryState entry = long_mode_entry(0x1000200, 0x80000, 0x84000);
  CHECK(descriptor_table(entry)[kCodeSelector / 8] == 0x00af9b000000ffff);
  CHECK(entry.cr0 == 0x80000011);
  CHECK(entry.cr3 == 0x84000);
  CHECK(entry.cr4 == 0x20);
  CHECK(entry.efer == 0x500);
}

TEST_CASE("protected mode starts with paging off and interrupts off") {
  const EntryState entry = protected_mode_entry(0x100000, 0x80000);
  CHECK(entry.cr0 == 0x11);
  CHECK(entry.efer == 0);
  CHECK((entry.rflags & 0x200) == 0);
}

TEST_CASE("real mode starts with 64 KiB segments at 0") {
  const EntryState entry = real_mode_entry(0x7c00, 0x7c00);
  CHECK(entry.code.base == 0);
  CHECK(entry.code.limit == 0xffff);
  CHECK(entry.data.limit == 0xffff);
  CHECK(entry.idt_limit == 0x3ff);
  CHECK((entry.cr0 & 1) == 0);
}

}  // namespace tintype
