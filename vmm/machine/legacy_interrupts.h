// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vmm/boot/entry.h"
#include "vmm/kvm/vm.h"

namespace tintype {

/// Programs PICs and PIT of a machine that boots, as its kernel expects to find them. Before the first vCPU runs; needs
/// both chips. (KVM's own start is a chip that nobody has programmed: all lines unmasked, on vectors 0 to 15, where
/// exceptions are.) LINT0 of the first CPU is KVM's own doing: it takes the PIC's interrupts, as after every reset.
void set_legacy_interrupts(KvmVm& vm, InterruptStart start);

}  // namespace tintype
