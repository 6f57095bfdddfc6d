// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "vmm/boot/placement.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// Tells what a guest was doing when it crashed: registers, control state, the instructions around RIP (disassembled,
/// found through the guest's page tables), and which page of which image they came from. Several lines. On the vCPU's
/// thread, or with it parked.
std::string crash_report(const std::string& why, KvmVcpu& vcpu, const GuestMemory& memory,
                         std::span<const LoadedPart> parts);

/// The instruction that caused the exit which a vCPU has just made, as one line of assembly.
std::string exit_instruction(KvmVcpu& vcpu, const GuestMemory& memory);

}  // namespace tintype
