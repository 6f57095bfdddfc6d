// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/vm_shell.h"

#include "vmm/base/error.h"
#include "vmm/base/thread.h"
#include "vmm/kvm/capabilities.h"

namespace tintype {

namespace {

// Intel's KVM needs a page and three pages for itself, in the hole below 4 GiB (KVM API, KVM_SET_IDENTITY_MAP_ADDR,
// KVM_SET_TSS_ADDR).
constexpr std::uint64_t kIdentityMapAddress = 0xfffbc000;
constexpr std::uint32_t kTssAddress = 0xfffbd000;

VmShell::Parts make_parts() {
  name_this_thread("vm-shell");
  block_signals_in_this_thread();
  KvmSystem system;
  if (const auto missing = missing_capabilities(system); !missing.empty()) {
    throw Error("this host's KVM lacks {} ({}): use a newer kernel", missing.front().name, missing.front().used_for);
  }
  KvmVm vm(system);
  vm.set_identity_map_address(kIdentityMapAddress);
  vm.set_tss_address(kTssAddress);
  return {std::move(system), std::move(vm)};
}

}  // namespace

VmShell::VmShell() : parts_(std::async(std::launch::async, make_parts)) {}

}  // namespace tintype
