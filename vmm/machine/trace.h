// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "devices/backplane.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// A line of the trace (vmm/base/trace.h) for the exit that a vCPU has just made, where its kind is traced: with the
/// instruction that caused it, and whom it reached. On the vCPU's thread. The value of a read is there once the device
/// was asked.
void trace_exit(KvmVcpu& vcpu, const GuestMemory& memory, const Backplane& backplane);

}  // namespace tintype
