// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace tintype {

/// How the first CPU meets its kernel.
enum class CpuMode : std::uint8_t {
  kReal16,       ///< as after a boot sector was read
  kProtected32,  ///< flat segments, paging off (multiboot, PVH)
  kLong64,       ///< flat segments, identity-mapped (Linux's 64-bit entry)
};

/// What PICs and PIT hold when the kernel is entered.
enum class InterruptStart : std::uint8_t {
  kMasked,    ///< all lines masked, the timer at rest: nothing comes that the kernel did not ask for
  kFirmware,  ///< as a PC's BIOS leaves them: the timer at 18.2 Hz on vector 8, all other lines masked
};

/// One segment register with its hidden part, in the terms of a descriptor (Intel SDM 3A, 3.4.5).
struct SegmentState {
  std::uint16_t selector = 0;
  std::uint64_t base = 0;
  std::uint32_t limit = 0;   ///< in bytes, granularity already applied
  std::uint8_t type = 0;     ///< the descriptor's four type bits
  bool code_or_data = true;  ///< the S bit; false for the TSS
  bool present = true;
  bool default_32 = false;      ///< D/B
  bool long_mode = false;       ///< L
  bool granularity_4k = false;  ///< G
  bool operator==(const SegmentState&) const = default;
};

/// Everything that the first CPU needs to start, without a word of KVM. The other CPUs wait for INIT and SIPI.
/// Registers that are not here are zero. The IDT's base is 0; its limit is 0, or 0x3ff (the real-mode vectors) where a
/// BIOS could have been before.
struct EntryState {
  CpuMode mode = CpuMode::kReal16;
  std::uint64_t rip = 0, rsp = 0, rflags = 2;
  std::uint64_t rax = 0, rbx = 0, rcx = 0, rdx = 0, rsi = 0, rdi = 0, rbp = 0;
  SegmentState code;
  SegmentState data;  ///< DS, ES, FS, GS and SS are all this
  SegmentState task;  ///< TR; busy already, as the processor would have marked it; see task_state.h
  std::uint64_t gdt_base = 0;
  std::uint16_t gdt_limit = 0;
  std::uint16_t idt_limit = 0;  ///< the IDT's base is 0
  std::uint64_t cr0 = 0, cr3 = 0, cr4 = 0, efer = 0;
  InterruptStart interrupts = InterruptStart::kMasked;
};

/// The descriptor table that an entry state's selectors point into: null, unused, code, data, and two slots
/// for the TSS.
using DescriptorTable = std::array<std::uint64_t, 6>;

inline constexpr std::uint16_t kCodeSelector = 0x10;  // Linux's 64-bit boot protocol asks for these two numbers
inline constexpr std::uint16_t kDataSelector = 0x18;
inline constexpr std::uint16_t kTaskSelector = 0x20;

inline constexpr std::uint16_t kRealModeVectorsLimit = 0x3ff;

/// CS, DS and so on at 0, interrupts off.
EntryState real_mode_entry(std::uint16_t instruction_pointer, std::uint16_t stack_pointer) noexcept;
/// Flat 4 GiB segments, paging off. `gdt` is where descriptor_table() will be stored.
EntryState protected_mode_entry(std::uint32_t instruction_pointer, std::uint64_t gdt) noexcept;
/// Long mode on the page tables at `page_map`.
EntryState long_mode_entry(std::uint64_t instruction_pointer, std::uint64_t gdt, std::uint64_t page_map) noexcept;

/// The table in memory that matches the entry's segment registers, so that a kernel may reload them.
DescriptorTable descriptor_table(const EntryState& entry) noexcept;

}  // namespace tintype
