// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/entry.h"

#include "vmm/boot/layout.h"

namespace tintype {

namespace {

constexpr std::uint8_t kTypeCode = 0xb;  // execute, read, accessed
constexpr std::uint8_t kTypeData = 0x3;  // read, write, accessed
constexpr std::uint8_t kTypeBusyTask = 0xb;

constexpr std::uint64_t kCr0Protected = 1 << 0;
constexpr std::uint64_t kCr0ExtensionType = 1 << 4;
constexpr std::uint64_t kCr0Paging = 1U << 31;
constexpr std::uint64_t kCr4PhysicalAddressExtension = 1 << 5;
constexpr std::uint64_t kEferLongModeEnable = 1 << 8;
constexpr std::uint64_t kEferLongModeActive = 1 << 10;

constexpr std::uint32_t kRealModeLimit = 0xffff;

SegmentState real_mode_segment(std::uint8_t type) noexcept {
  SegmentState segment;
  segment.limit = kRealModeLimit;
  segment.type = type;
  return segment;
}

SegmentState flat_segment(std::uint16_t selector, std::uint8_t type) noexcept {
  SegmentState segment;
  segment.selector = selector;
  segment.limit = 0xffffffff;
  segment.type = type;
  segment.default_32 = true;
  segment.granularity_4k = true;
  return segment;
}

SegmentState task_segment(std::uint16_t selector) noexcept {
  SegmentState segment;
  segment.selector = selector;
  segment.base = kTaskStateArea.start;
  segment.limit = kTaskStateArea.size - 1;
  segment.type = kTypeBusyTask;
  segment.code_or_data = false;
  return segment;
}

std::uint64_t descriptor(const SegmentState& segment) noexcept {
  const std::uint64_t limit = segment.granularity_4k ? segment.limit >> 12 : segment.limit;
  std::uint64_t bits = (limit & 0xffff) | (limit >> 16 & 0xf) << 48;
  bits |= (segment.base & 0xffffff) << 16 | (segment.base >> 24 & 0xff) << 56;
  bits |= std::uint64_t{segment.type} << 40;
  bits |= std::uint64_t{segment.code_or_data} << 44 | std::uint64_t{segment.present} << 47;
  bits |= std::uint64_t{segment.long_mode} << 53 | std::uint64_t{segment.default_32} << 54;
  return bits | std::uint64_t{segment.granularity_4k} << 55;
}

}  // namespace

EntryState real_mode_entry(std::uint16_t instruction_pointer, std::uint16_t stack_pointer) noexcept {
  EntryState entry;
  entry.mode = CpuMode::kReal16;
  entry.rip = instruction_pointer;
  entry.rsp = stack_pointer;
  entry.code = real_mode_segment(kTypeCode);
  entry.data = real_mode_segment(kTypeData);
  entry.task = task_segment(0);
  entry.idt_limit = kRealModeVectorsLimit;
  entry.interrupts = InterruptStart::kFirmware;
  entry.cr0 = kCr0ExtensionType;
  return entry;
}

EntryState protected_mode_entry(std::uint32_t instruction_pointer, std::uint64_t gdt) noexcept {
  EntryState entry;
  entry.mode = CpuMode::kProtected32;
  entry.rip = instruction_pointer;
  entry.code = flat_segment(kCodeSelector, kTypeCode);
  entry.data = flat_segment(kDataSelector, kTypeData);
  entry.task = task_segment(kTaskSelector);
  entry.gdt_base = gdt;
  entry.gdt_limit = sizeof(DescriptorTable) - 1;
  entry.cr0 = kCr0ExtensionType | kCr0Protected;
  return entry;
}

EntryState long_mode_entry(std::uint64_t instruction_pointer, std::uint64_t gdt, std::uint64_t page_map) noexcept {
  EntryState entry = protected_mode_entry(0, gdt);
  entry.mode = CpuMode::kLong64;
  entry.rip = instruction_pointer;
  entry.code.default_32 = false;
  entry.code.long_mode = true;
  entry.cr0 |= kCr0Paging;
  entry.cr3 = page_map;
  entry.cr4 = kCr4PhysicalAddressExtension;
  entry.efer = kEferLongModeEnable | kEferLongModeActive;
  return entry;
}

DescriptorTable descriptor_table(const EntryState& entry) noexcept {
  DescriptorTable table{};
  table[kCodeSelector / 8] = descriptor(entry.code);
  table[kDataSelector / 8] = descriptor(entry.data);
  table[kTaskSelector / 8] =
      descriptor(entry.task);  // in long mode the next slot holds the base's upper half, which is 0
  return table;
}

}  // namespace tintype
