// SPDX-License-Identifier: Apache-2.0
#include "vmm/kvm/capabilities.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <sstream>

namespace tintype {

namespace {

constexpr std::array kCapabilities = {
    KvmCapability{KVM_CAP_USER_MEMORY, "USER_MEMORY", true, "guest memory"},
    KvmCapability{KVM_CAP_IRQCHIP, "IRQCHIP", true, "interrupt controllers in the kernel"},
    KvmCapability{KVM_CAP_PIT2, "PIT2", true, "the interval timer in the kernel"},
    KvmCapability{KVM_CAP_PIT_STATE2, "PIT_STATE2", true, "saving the interval timer"},
    KvmCapability{KVM_CAP_IRQFD, "IRQFD", true, "disk interrupts without an exit"},
    KvmCapability{KVM_CAP_IOEVENTFD, "IOEVENTFD", true, "disk requests without an exit to user space"},
    KvmCapability{KVM_CAP_IMMEDIATE_EXIT, "IMMEDIATE_EXIT", true, "pausing a vCPU with no exit half-done"},
    KvmCapability{KVM_CAP_EXT_CPUID, "EXT_CPUID", true, "passing the host's CPU features through"},
    KvmCapability{KVM_CAP_MP_STATE, "MP_STATE", true, "starting and saving several CPUs"},
    KvmCapability{KVM_CAP_VCPU_EVENTS, "VCPU_EVENTS", true, "saving pending exceptions and interrupts"},
    KvmCapability{KVM_CAP_DEBUGREGS, "DEBUGREGS", true, "saving debug registers"},
    KvmCapability{KVM_CAP_XSAVE, "XSAVE", true, "saving vector registers"},
    KvmCapability{KVM_CAP_XCRS, "XCRS", false, "saving which vector registers are on"},
    KvmCapability{KVM_CAP_XSAVE2, "XSAVE2", false, "saving large vector state (AMX)"},
    KvmCapability{KVM_CAP_ADJUST_CLOCK, "ADJUST_CLOCK", true, "saving the guest's clock"},
    KvmCapability{KVM_CAP_GET_TSC_KHZ, "GET_TSC_KHZ", false, "knowing the speed of the time stamp counter"},
    KvmCapability{KVM_CAP_TSC_CONTROL, "TSC_CONTROL", false, "restoring on a host whose counter has another speed"},
    KvmCapability{KVM_CAP_TSC_DEADLINE_TIMER, "TSC_DEADLINE_TIMER", false, "the guest's precise timer"},
    KvmCapability{KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, "MANUAL_DIRTY_LOG_PROTECT2", false,
                  "precopy: which pages changed"},
    KvmCapability{KVM_CAP_DIRTY_LOG_RING, "DIRTY_LOG_RING", false, "precopy: which pages changed, as a ring"},
    KvmCapability{KVM_CAP_SYNC_REGS, "SYNC_REGS", false, "reading registers without a system call"},
    KvmCapability{KVM_CAP_SYNC_MMU, "SYNC_MMU", true,
                  "guest memory that follows the host's page tables (write protection)"},
    KvmCapability{KVM_CAP_SET_GUEST_DEBUG, "SET_GUEST_DEBUG", false, "a debugger's breakpoints and steps"},
};

}  // namespace

std::span<const KvmCapability> kvm_capabilities() noexcept { return kCapabilities; }

bool has_hardware_virtualization(const std::string& cpu_info) {
  std::ifstream file(cpu_info);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("flags")) continue;
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      if (word == "vmx" || word == "svm") return true;
    }
    return false;  // all CPUs are alike
  }
  return false;
}

bool shadows_page_tables() {
  if (!has_hardware_virtualization()) return true;
  for (const char* parameter : {"/sys/module/kvm_intel/parameters/ept", "/sys/module/kvm_amd/parameters/npt"}) {
    std::ifstream file(parameter);
    if (char value = 0; file >> value) return value == 'N' || value == '0';
  }
  return false;
}

std::vector<KvmCapability> missing_capabilities(const KvmSystem& system) {
  std::vector<KvmCapability> missing;
  std::copy_if(
      kCapabilities.begin(), kCapabilities.end(), std::back_inserter(missing),
      [&](const KvmCapability& capability) { return capability.required && system.extension(capability.number) == 0; });
  return missing;
}

}  // namespace tintype
