// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "devices/backplane.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/machine/config.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// `--trace`: a line on stderr for each exit of the kinds asked for, with the instruction that caused it. On the vCPU's
/// thread.
void trace_exit(const TraceConfig& config, KvmVcpu& vcpu, const GuestMemory& memory, const Backplane& backplane);

}  // namespace tintype
