// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vmm/boot/entry.h"
#include "vmm/kvm/vcpu.h"

namespace tintype {

/// Puts a vCPU that has not run yet into the state in which its kernel expects to be entered.
void enter_kernel(KvmVcpu& vcpu, const EntryState& entry);

}  // namespace tintype
