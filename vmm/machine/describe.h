// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "checkpoint/format/manifest.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/machine/config.h"
#include "vmm/machine/disk_slot.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// The CPU that the guest sees. Before the vCPU runs, for it is asked.
CpuDescription describe_cpu(const KvmVcpu& vcpu);

/// A machine's configuration as a manifest has it.
MachineDescription describe_machine(const MachineConfig& config, const GuestMemory& memory,
                                    std::span<const std::unique_ptr<DiskSlot>> disks, const CpuDescription& cpu);

/// And the way back, for a machine that is restored: everything but the name, the disks' images and the serial port,
/// which the restore decides.
MachineConfig config_from(const MachineDescription& description);

}  // namespace tintype
