// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/state/apic_tick.h"
#include "checkpoint/state/tsc_group.h"
#include "vmm/base/state.h"
#include "vmm/kvm/vcpu.h"

namespace tintype {

struct VcpuStateV1;

/// What a vCPU's registers hold.
struct VcpuRegisters {
  kvm_regs general{};
  kvm_sregs system{};
  std::array<std::uint8_t, 512> fxsave{};  ///< x87 and SSE, as FXSAVE writes them
};

/// A vCPU as a thing with state. The vCPU must be parked, with no exit half-done.
class VcpuState : public Stateful {
 public:
  /// `msr_indices`: what KVM_GET_MSR_INDEX_LIST says. `offered` is what CPUID
  /// can show on this host, against which a saved CPUID is checked. `tscs` are those of its machine.
  VcpuState(KvmVcpu& vcpu, TscGroup& tscs, std::vector<std::uint32_t> msr_indices,
            std::vector<kvm_cpuid_entry2> offered);

  /// The local APIC as it now is, and when.
  ApicLook look_at_apic() const;
  /// The vCPU has been parked: `look` holds every tick that had come by then. Ticks that come later are known by it.
  void parked(const ApicLook& look) { parked_ = look; }
  /// It runs again. Both are for the thread that runs it, while no one saves.
  void unparked() noexcept { parked_.reset(); }

  std::string state_name() const override;
  StateRecord save_state() const override { return read_state()(); }
  /// The calls of KVM, and nothing more: a vCPU has the longest of all records.
  Unsaved read_state() const override;
  void check_state(const StateRecord& record) const override { check(record, offered_); }
  /// check_state(), which needs no KVM.
  static void check(const StateRecord& record, const std::vector<kvm_cpuid_entry2>& offered);
  void restore_state(const StateRecord& record) override;
  /// Of a record, for whoever only looks at it. Throws StateError.
  static VcpuRegisters registers_in(const StateRecord& record);

  /// For one that goes back to a state of its own, again and again: what it is now, and back to that. Only what has
  /// changed since is given to KVM, where comparing costs less.
  std::shared_ptr<const VcpuStateV1> remember() const { return read_all(); }
  void go_back_to(const VcpuStateV1& remembered);
  /// A saved state that was checked, to go to. Throws StateError where its CPU is another one than this.
  std::shared_ptr<const VcpuStateV1> remembered_in(const StateRecord& record) const;

 private:
  std::shared_ptr<VcpuStateV1> read_all() const;
  void give_tsc_speed(std::uint32_t khz);
  void give_registers(const VcpuStateV1& saved);
  void give_interrupts(const VcpuStateV1& saved, std::span<const kvm_msr_entry> msrs);
  void give_msrs(std::span<const kvm_msr_entry> msrs);
  ApicLook apic_with_ticks() const;

  KvmVcpu& vcpu_;
  TscGroup& tscs_;
  std::optional<ApicLook> parked_;
  std::vector<std::uint32_t> msr_indices_;
  std::vector<kvm_cpuid_entry2> offered_;
};

}  // namespace tintype
