// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/cpu_text.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace tintype {

namespace {

constexpr std::size_t kBytesBefore = 32;
constexpr std::size_t kInstructionsAfter = 6;
constexpr std::size_t kBytesAfter = kInstructionsAfter * kLongestInstruction;
constexpr std::size_t kInstructionsBefore = 5;

std::string general_lines(const kvm_regs& r) {
  return fmt::format(
      "  rax {:016x}  rbx {:016x}  rcx {:016x}  rdx {:016x}\n"
      "  rsi {:016x}  rdi {:016x}  rsp {:016x}  rbp {:016x}\n"
      "  r8  {:016x}  r9  {:016x}  r10 {:016x}  r11 {:016x}\n"
      "  r12 {:016x}  r13 {:016x}  r14 {:016x}  r15 {:016x}\n"
      "  rip {:016x}  rflags {:08x}\n",
      static_cast<std::uint64_t>(r.rax), static_cast<std::uint64_t>(r.rbx), static_cast<std::uint64_t>(r.rcx),
      static_cast<std::uint64_t>(r.rdx), static_cast<std::uint64_t>(r.rsi), static_cast<std::uint64_t>(r.rdi),
      static_cast<std::uint64_t>(r.rsp), static_cast<std::uint64_t>(r.rbp), static_cast<std::uint64_t>(r.r8),
      static_cast<std::uint64_t>(r.r9), static_cast<std::uint64_t>(r.r10), static_cast<std::uint64_t>(r.r11),
      static_cast<std::uint64_t>(r.r12), static_cast<std::uint64_t>(r.r13), static_cast<std::uint64_t>(r.r14),
      static_cast<std::uint64_t>(r.r15), static_cast<std::uint64_t>(r.rip), static_cast<std::uint64_t>(r.rflags));
}

std::string segment_text(const char* name, const kvm_segment& s) {
  return fmt::format("{} {:04x} base {:x} limit {:x}{}", name, static_cast<unsigned>(s.selector),
                     static_cast<std::uint64_t>(s.base), static_cast<std::uint32_t>(s.limit),
                     s.l != 0    ? " 64-bit"
                     : s.db != 0 ? " 32-bit"
                                 : " 16-bit");
}

std::string control_lines(const kvm_sregs& s) {
  return fmt::format(
      "  cr0 {:x}  cr2 {:x}  cr3 {:x}  cr4 {:x}  efer {:x}\n  {}  (ring {})\n  {}\n  gdt {:x}+{:x}  idt {:x}+{:x}\n",
      static_cast<std::uint64_t>(s.cr0), static_cast<std::uint64_t>(s.cr2), static_cast<std::uint64_t>(s.cr3),
      static_cast<std::uint64_t>(s.cr4), static_cast<std::uint64_t>(s.efer), segment_text("cs", s.cs),
      static_cast<unsigned>(s.cs.dpl), segment_text("ss", s.ss), static_cast<std::uint64_t>(s.gdt.base),
      static_cast<unsigned>(s.gdt.limit), static_cast<std::uint64_t>(s.idt.base), static_cast<unsigned>(s.idt.limit));
}

std::string instruction_line(const Instruction& instruction, bool here) {
  std::string bytes;
  for (const std::uint8_t byte : instruction.bytes) bytes += fmt::format("{:02x} ", byte);
  return fmt::format("  {} {:x}: {:<30}{}\n", here ? "->" : "  ", instruction.address, bytes, instruction.text);
}

}  // namespace

std::string registers_text(const kvm_regs& regs, const kvm_sregs& sregs) {
  return general_lines(regs) + control_lines(sregs);
}

CodeSize code_size(const kvm_sregs& sregs) {
  return sregs.cs.l != 0 ? CodeSize::k64 : sregs.cs.db != 0 ? CodeSize::k32 : CodeSize::k16;
}

std::uint64_t linear_rip(const kvm_regs& regs, const kvm_sregs& sregs) {
  return sregs.cs.l != 0 ? regs.rip : static_cast<std::uint32_t>(sregs.cs.base + regs.rip);
}

/// x86 code cannot be read backwards: start a little before and take the first start whose instructions end exactly at
/// RIP.
std::vector<Instruction> instructions_before(const ReadPhysical& memory, const kvm_sregs& sregs, std::uint64_t rip) {
  for (std::size_t distance = std::min<std::uint64_t>(kBytesBefore, rip); distance > 0; --distance) {
    const auto code = read_linear(memory, sregs, rip - distance, distance);
    if (code.size() != distance) continue;
    auto instructions = disassemble(code, rip - distance, code_size(sregs), kBytesBefore);
    const bool fits =
        std::none_of(instructions.begin(), instructions.end(), [](const Instruction& i) { return i.text == "(bad)"; });
    if (!fits || instructions.empty()) continue;
    if (instructions.size() > kInstructionsBefore)
      instructions.erase(instructions.begin(), instructions.end() - kInstructionsBefore);
    return instructions;
  }
  return {};
}

std::string code_text(const ReadPhysical& memory, const kvm_sregs& sregs, std::uint64_t rip) {
  const auto code = read_linear(memory, sregs, rip, kBytesAfter);
  if (code.empty()) return fmt::format("  rip {:x} is not mapped to memory\n", rip);
  std::string text;
  for (const Instruction& instruction : instructions_before(memory, sregs, rip))
    text += instruction_line(instruction, false);
  bool here = true;
  for (const Instruction& instruction : disassemble(code, rip, code_size(sregs), kInstructionsAfter)) {
    text += instruction_line(instruction, std::exchange(here, false));
  }
  return text;
}

}  // namespace tintype
