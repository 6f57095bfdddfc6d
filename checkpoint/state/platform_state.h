// SPDX-License-Identifier: Apache-2.0
#pragma once

// What KVM keeps for the machine as a whole, as things with state: interrupt controllers, interval timer, clock. The
// static check() is their check_state(), which needs no KVM.

#include <cstdint>

#include "checkpoint/state/tsc_group.h"
#include "vmm/base/state.h"
#include "vmm/kvm/vm.h"

namespace tintype {

/// Both PICs and the IOAPIC.
class IrqchipState : public Stateful {
 public:
  explicit IrqchipState(KvmVm& vm) : vm_(vm) {}
  std::string state_name() const override { return "irqchip"; }
  StateRecord save_state() const override;
  void check_state(const StateRecord& record) const override { check(record); }
  static void check(const StateRecord& record);
  void restore_state(const StateRecord& record) override;

 private:
  KvmVm& vm_;
};

/// The interval timer. KVM restarts the period of a restored channel, so its next tick may come up to one period late;
/// none is lost or doubled.
class PitState : public Stateful {
 public:
  explicit PitState(KvmVm& vm) : vm_(vm) {}
  std::string state_name() const override { return "pit"; }
  StateRecord save_state() const override;
  void check_state(const StateRecord& record) const override { check(record); }
  static void check(const StateRecord& record);
  void restore_state(const StateRecord& record) override;

 private:
  KvmVm& vm_;
};

/// kvmclock: nanoseconds since the machine was started. A restored machine goes on from the capture, not from now. It
/// is saved as it was when the first CPU's TSC was read, and goes on from when that was given, before.
class ClockState : public Stateful {
 public:
  ClockState(KvmVm& vm, const TscGroup& tscs) : vm_(vm), tscs_(tscs) {}
  std::string state_name() const override { return "kvmclock"; }
  StateRecord save_state() const override;
  void check_state(const StateRecord& record) const override { check(record); }
  static void check(const StateRecord& record);
  void restore_state(const StateRecord& record) override;

 private:
  KvmVm& vm_;
  const TscGroup& tscs_;
};

}  // namespace tintype
