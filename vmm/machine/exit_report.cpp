// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/exit_report.h"

#include <algorithm>
#include <exception>

#include <fmt/format.h>

#include "vmm/machine/disassembler.h"
#include "vmm/machine/page_walk.h"

namespace tintype {

namespace {

constexpr std::size_t kBytesBefore = 32;
constexpr std::size_t kBytesAfter = 48;
constexpr std::size_t kInstructionsAfter = 6;
constexpr std::size_t kInstructionsBefore = 5;

CodeSize code_size(const kvm_sregs& sregs) {
  return sregs.cs.l != 0 ? CodeSize::k64 : sregs.cs.db != 0 ? CodeSize::k32 : CodeSize::k16;
}

std::uint64_t linear_rip(const kvm_regs& regs, const kvm_sregs& sregs) {
  return sregs.cs.l != 0 ? regs.rip : static_cast<std::uint32_t>(sregs.cs.base + regs.rip);
}

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

/// x86 code cannot be read backwards: start a little before and take the first start whose instructions end exactly at
/// RIP.
std::vector<Instruction> instructions_before(const GuestMemory& memory, const kvm_sregs& sregs, std::uint64_t rip) {
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

std::string code_lines(const GuestMemory& memory, const kvm_sregs& sregs, std::uint64_t rip) {
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

std::string place_line(const GuestMemory& memory, const kvm_sregs& sregs, std::uint64_t rip,
                       std::span<const LoadedPart> parts) {
  const auto address = translate(memory, sregs, rip);
  if (!address) return {};
  const LoadedPart* part = find_part(parts, address->value());
  if (part == nullptr)
    return fmt::format("  rip is at guest physical {:#x}, which belongs to nothing that was loaded\n",
                       address->value());
  const std::uint64_t offset = address->value() - part->start;
  return fmt::format("  rip is at guest physical {:#x}: {}{}{}, page {} (+{:#x})\n", address->value(), part->image,
                     part->image.empty() ? "" : ", ", part->name, offset / kPageSize, offset);
}

/// A CPU that has just been reset (Intel SDM volume 3, 9.1.1): 16-bit code at the top of the first 4 GiB.
bool is_after_reset(const kvm_regs& regs, const kvm_sregs& sregs) {
  return regs.rip == 0xfff0 && sregs.cs.base == 0xffff0000 && (sregs.cr0 & 1) == 0;
}

bool is_out(const Instruction& instruction) { return instruction.text.find("out") != std::string::npos; }

std::string one_line(const Instruction& instruction) {
  return fmt::format("{:x}: {}", instruction.address, instruction.text);
}

}  // namespace

std::string crash_report(const std::string& why, KvmVcpu& vcpu, const GuestMemory& memory,
                         std::span<const LoadedPart> parts) {
  std::string text = fmt::format("the guest crashed on vCPU {}: {}\n", vcpu.id(), why);
  try {
    const kvm_regs regs = vcpu.regs();
    const kvm_sregs sregs = vcpu.sregs();
    const std::uint64_t rip = linear_rip(regs, sregs);
    if (is_after_reset(regs, sregs)) {
      text +=
          "  what it was doing is lost: AMD processors forget it at a triple fault, and these are the registers of a "
          "reset\n";
    }
    text += general_lines(regs) + control_lines(sregs) + code_lines(memory, sregs, rip) +
            place_line(memory, sregs, rip, parts);
  } catch (const std::exception& error) {
    text += fmt::format("  its registers cannot be read: {}\n", error.what());
  }
  return text;
}

// Where KVM emulates a write to a port or to MMIO, RIP has moved past the instruction by the time of the exit; for
// reads, and for port writes on the fast path of real hardware, it has not.
std::string exit_instruction(KvmVcpu& vcpu, const GuestMemory& memory) {
  const kvm_run& run = vcpu.shared();
  const bool port_write = run.exit_reason == KVM_EXIT_IO && run.io.direction == KVM_EXIT_IO_OUT;
  const bool mmio_write = run.exit_reason == KVM_EXIT_MMIO && run.mmio.is_write != 0;
  const kvm_sregs sregs = vcpu.sregs();
  const std::uint64_t rip = linear_rip(vcpu.regs(), sregs);
  if (port_write || mmio_write) {
    const auto before = instructions_before(memory, sregs, rip);
    if (!before.empty() && (mmio_write || is_out(before.back()))) return one_line(before.back());
  }
  const auto here = disassemble(read_linear(memory, sregs, rip, 15), rip, code_size(sregs), 1);
  return here.empty() ? fmt::format("{:x}: (not mapped)", rip) : one_line(here.front());
}

}  // namespace tintype
