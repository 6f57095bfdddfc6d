// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a CPU was doing, as text for people.

#include <linux/kvm.h>

#include <cstdint>
#include <string>
#include <vector>

#include "vmm/machine/disassembler.h"
#include "vmm/machine/page_walk.h"

namespace tintype {

CodeSize code_size(const kvm_sregs& sregs);
/// RIP as a linear address.
std::uint64_t linear_rip(const kvm_regs& regs, const kvm_sregs& sregs);

/// Registers and control state. Several lines; so is code_text().
std::string registers_text(const kvm_regs& regs, const kvm_sregs& sregs);
/// The instructions around RIP, those before it as far as they can be told.
std::string code_text(const ReadPhysical& memory, const kvm_sregs& sregs, std::uint64_t rip);

/// x86 code cannot be read backwards: those of the nearest start whose instructions end exactly at RIP.
std::vector<Instruction> instructions_before(const ReadPhysical& memory, const kvm_sregs& sregs, std::uint64_t rip);

}  // namespace tintype
