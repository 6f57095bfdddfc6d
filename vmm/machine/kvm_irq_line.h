// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "devices/irq_line.h"
#include "vmm/base/event_fd.h"
#include "vmm/kvm/vm.h"

namespace tintype {

/// A line into KVM's interrupt controllers: levels by KVM_IRQ_LINE, edges by an irqfd.
class KvmIrqLine final : public IrqLine {
 public:
  KvmIrqLine(KvmVm& vm, std::uint32_t gsi) : vm_(vm), gsi_(gsi) { vm_.attach_irqfd(edge_.fd(), gsi_); }
  void set(bool asserted) noexcept override { vm_.set_irq_line(gsi_, asserted); }
  void pulse() noexcept override { edge_.signal(); }

 private:
  KvmVm& vm_;
  std::uint32_t gsi_;
  EventFd edge_;
};

}  // namespace tintype
