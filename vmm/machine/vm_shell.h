// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <future>

#include "vmm/kvm/system.h"
#include "vmm/kvm/vm.h"

namespace tintype {

/// KVM's part of a machine of which nothing is known yet: a virtual machine without memory. It is begun ahead, on a
/// thread of its own, and taken when the machine is built.
class VmShell {
 public:
  /// Begins.
  VmShell();

  struct Parts {
    KvmSystem system;
    KvmVm vm;
  };
  /// Waits until it is there. Once. Throws tintype::Error where the host's KVM cannot, std::system_error.
  Parts take() { return parts_.get(); }

 private:
  std::future<Parts> parts_;
};

}  // namespace tintype
