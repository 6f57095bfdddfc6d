// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/kvm.h>

#include <cstdint>
#include <span>
#include <vector>

namespace tintype {

/// What CPU number `cpu` of `cpus` shows by CPUID: everything that KVM supports on this host and that can be kept
/// (hidden_features.h), with the leaves that tell CPUs apart and that describe the topology (one socket of `cpus`
/// cores, one thread each) made right, and a leaf that tells the guest its TSC's speed. Sources: KVM API,
/// KVM_SET_CPUID2; Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E.
std::vector<kvm_cpuid_entry2> guest_cpuid(std::span<const kvm_cpuid_entry2> supported, unsigned cpu, unsigned cpus,
                                          std::uint32_t tsc_khz, bool tsc_deadline_timer);

}  // namespace tintype
