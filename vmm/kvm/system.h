// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/kvm.h>

#include <cstdint>
#include <vector>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// /dev/kvm: what the host's KVM is and can (KVM API, "4. API description", system ioctls).
class KvmSystem {
 public:
  /// Throws tintype::Error with the remedy where /dev/kvm is missing, forbidden, or not API version 12.
  KvmSystem();

  int fd() const noexcept { return fd_.get(); }
  /// KVM_CHECK_EXTENSION: 0 where the capability is missing, else its value.
  int extension(int capability) const;
  std::size_t vcpu_mmap_size() const;                     ///< KVM_GET_VCPU_MMAP_SIZE, bytes
  std::vector<kvm_cpuid_entry2> supported_cpuid() const;  ///< KVM_GET_SUPPORTED_CPUID
  /// KVM_GET_MSR_INDEX_LIST, and those that KVM keeps without listing them.
  std::vector<std::uint32_t> msr_indices() const;
  UniqueFd create_vm() const;  ///< KVM_CREATE_VM, machine type 0

 private:
  UniqueFd fd_;
};

}  // namespace tintype
