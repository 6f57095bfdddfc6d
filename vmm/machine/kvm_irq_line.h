// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "devices/irq_line.h"
#include "vmm/base/trace.h"
#include "vmm/kvm/vm.h"

namespace tintype {

/// A line into KVM's interrupt controllers, by KVM_IRQ_LINE. An edge is both levels, one after the other, rather than
/// an irqfd: for a pin of the I/O APIC KVM hands that to a kernel thread, which must first get a CPU, and may get it
/// after the controllers' state was read.
class KvmIrqLine final : public IrqLine {
 public:
  /// `device`: whose it is, for traces.
  KvmIrqLine(KvmVm& vm, std::uint32_t gsi, std::string device) : vm_(vm), gsi_(gsi), device_(std::move(device)) {}
  void set(bool asserted) noexcept override {
    trace(asserted ? "raise" : "lower");
    vm_.set_irq_line(gsi_, asserted);
  }
  void pulse() noexcept override {
    trace("pulse");
    vm_.set_irq_line(gsi_, true);
    vm_.set_irq_line(gsi_, false);
  }

 private:
  void trace(std::string_view what) const noexcept {
    if (!traces(TraceKind::kInterrupts)) return;
    TraceLine(TraceKind::kInterrupts, what).text("device", device_).number("line", gsi_).put();
  }

  KvmVm& vm_;
  const std::uint32_t gsi_;
  const std::string device_;
};

}  // namespace tintype
