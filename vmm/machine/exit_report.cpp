// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/exit_report.h"

#include <algorithm>
#include <exception>

#include <fmt/format.h>

#include "vmm/machine/cpu_text.h"
#include "vmm/machine/disassembler.h"
#include "vmm/machine/page_walk.h"

namespace tintype {

namespace {

std::string place_line(const GuestMemory& memory, const kvm_sregs& sregs, std::uint64_t rip,
                       std::span<const LoadedPart> parts) {
  const auto address = translate(physical(memory), sregs, rip);
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
    text +=
        registers_text(regs, sregs) + code_text(physical(memory), sregs, rip) + place_line(memory, sregs, rip, parts);
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
    const auto before = instructions_before(physical(memory), sregs, rip);
    if (!before.empty() && (mmio_write || is_out(before.back()))) return one_line(before.back());
  }
  const auto here =
      disassemble(read_linear(physical(memory), sregs, rip, kLongestInstruction), rip, code_size(sregs), 1);
  return here.empty() ? fmt::format("{:x}: (not mapped)", rip) : one_line(here.front());
}

}  // namespace tintype
