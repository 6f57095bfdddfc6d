// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "devices/irq_line.h"
#include "vmm/kvm/vm.h"

namespace tintype {

/// A line into KVM's interrupt controllers, by KVM_IRQ_LINE. An edge is both levels, one after the other, rather than
/// an irqfd: for a pin of the I/O APIC KVM hands that to a kernel thread, which must first get a CPU, and may get it
/// after the controllers' state was read.
class KvmIrqLine final : public IrqLine {
 public:
  KvmIrqLine(KvmVm& vm, std::uint32_t gsi) : vm_(vm), gsi_(gsi) {}
  void set(bool asserted) noexcept override { vm_.set_irq_line(gsi_, asserted); }
  void pulse() noexcept override {
    set(true);
    set(false);
  }

 private:
  KvmVm& vm_;
  std::uint32_t gsi_;
};

}  // namespace tintype
