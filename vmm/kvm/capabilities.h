// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/kvm/system.h"

namespace tintype {

/// A capability of KVM's that Tintype uses, and what for.
struct KvmCapability {
  int number;
  std::string_view name;  ///< as in <linux/kvm.h>, without KVM_CAP_
  bool required;          ///< no machine can run without it
  std::string_view used_for;
};

std::span<const KvmCapability> kvm_capabilities() noexcept;

/// True where the CPU has VMX or SVM. A KVM without them runs kernel code (ring 0) in its instruction emulator, which
/// is slow and lacks instructions that stock kernels use.
bool has_hardware_virtualization(const std::string& cpu_info = "/proc/cpuinfo");

/// True where KVM walks shadows of the guest's page tables, for lack of hardware that walks two kinds (EPT, NPT): then
/// it does not notice when somebody but the guest writes to them.
bool shadows_page_tables();

/// The required capabilities that this host's KVM lacks.
std::vector<KvmCapability> missing_capabilities(const KvmSystem& system);

}  // namespace tintype
