// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/kvm.h>

#include <span>
#include <string>
#include <vector>

namespace tintype {

/// Names of the CPU features that `wanted` (what a guest saw) has and `offered` (what this host can show) lacks, for
/// example "avx2" or "cpuid 0x7.0 ebx bit 30" where we have no name. Empty: the guest can go on here.
std::vector<std::string> missing_cpu_features(std::span<const kvm_cpuid_entry2> wanted,
                                              std::span<const kvm_cpuid_entry2> offered);

}  // namespace tintype
