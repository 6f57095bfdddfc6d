// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/kvm.h>

#include <vector>

namespace tintype {

/// Where the interrupt lines of a PC end: 0 to 15 at the two PICs and at the IOAPIC, 16 to 23 at the IOAPIC alone; line
/// 0, the timer, at the IOAPIC's pin 2, as the MADT says (KVM's own default sends it to pin 0, where a stock kernel
/// does not look for it).
std::vector<kvm_irq_routing_entry> pc_gsi_routing();

}  // namespace tintype
