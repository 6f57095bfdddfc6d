// SPDX-License-Identifier: Apache-2.0
#pragma once

// A KVM without hardware virtualization runs the guest's ring 3 as it is, and hands #DB and #BP from there to the guest
// itself, whatever a debugger has asked for. They are met at the guest's door: a breakpoint on the first instruction of
// each of the two handlers, which run in ring 0, where such a KVM emulates and does stop. The CPU is then put back to
// where it was when it met the exception.

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "vmm/kvm/vcpu.h"
#include "vmm/machine/page_walk.h"

namespace tintype {

/// Where the guest's handlers of #DB and #BP begin: one, two, or none of them, as its IDT has them now.
std::vector<std::uint64_t> trap_handlers(const ReadPhysical& memory, const kvm_sregs& sregs);

/// The CPU as the exception found it, in 64-bit ring 3. Nothing where it stands at no handler, or has come from
/// elsewhere. A step's trap flag is taken away.
struct TrappedCpu {
  kvm_regs regs{};
  kvm_sregs sregs{};
  bool is_breakpoint = false;  ///< #BP, and RIP is at the `int3`
};
std::optional<TrappedCpu> before_trap(const ReadPhysical& memory, const kvm_regs& regs, const kvm_sregs& sregs);

/// A step from `rip` in ring 3 has ended in ring 0, because an interrupt or a fault came first: the flag that makes
/// steps is taken out of what the CPU pushed, or the guest would meet a #DB of nobody's when it goes back.
void take_back_trap_flag(GuestMemory& memory, const kvm_sregs& sregs, std::uint64_t rip);

}  // namespace tintype
