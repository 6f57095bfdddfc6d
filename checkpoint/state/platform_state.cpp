// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/state/platform_state.h"

#include <algorithm>
#include <iterator>

#include "checkpoint/state/brief_call.h"
#include "checkpoint/state/kvm_pairs.h"
#include "checkpoint/state/platform_state_v1.h"

namespace tintype {

namespace {

void pair_pic(auto&& ours, auto&& kvm, auto&& copy) {
  copy(ours.last_irr, kvm.last_irr), copy(ours.irr, kvm.irr), copy(ours.imr, kvm.imr), copy(ours.isr, kvm.isr);
  copy(ours.priority_add, kvm.priority_add), copy(ours.irq_base, kvm.irq_base),
      copy(ours.read_reg_select, kvm.read_reg_select);
  copy(ours.poll, kvm.poll), copy(ours.special_mask, kvm.special_mask), copy(ours.init_state, kvm.init_state);
  copy(ours.auto_eoi, kvm.auto_eoi), copy(ours.rotate_on_auto_eoi, kvm.rotate_on_auto_eoi);
  copy(ours.special_fully_nested_mode, kvm.special_fully_nested_mode), copy(ours.init4, kvm.init4);
  copy(ours.elcr, kvm.elcr), copy(ours.elcr_mask, kvm.elcr_mask);
}

void pair_channel(auto&& ours, auto&& kvm, auto&& copy) {
  copy(ours.count, kvm.count), copy(ours.latched_count, kvm.latched_count), copy(ours.count_latched, kvm.count_latched);
  copy(ours.status_latched, kvm.status_latched), copy(ours.status, kvm.status), copy(ours.read_state, kvm.read_state);
  copy(ours.write_state, kvm.write_state), copy(ours.write_latch, kvm.write_latch), copy(ours.rw_mode, kvm.rw_mode);
  copy(ours.mode, kvm.mode), copy(ours.bcd, kvm.bcd), copy(ours.gate, kvm.gate),
      copy(ours.count_load_time, kvm.count_load_time);
}

PicStateV1 save_pic(const KvmVm& vm, std::uint32_t chip) {
  PicStateV1 saved;
  pair_pic(saved, vm.irqchip(chip).chip.pic, kFromKvm);
  return saved;
}

void restore_pic(KvmVm& vm, std::uint32_t chip_id, const PicStateV1& saved) {
  kvm_irqchip chip{};
  chip.chip_id = chip_id;
  pair_pic(saved, chip.chip.pic, kToKvm);
  vm.set_irqchip(chip);
}

IoapicStateV1 save_ioapic(const KvmVm& vm) {
  const kvm_irqchip chip = vm.irqchip(KVM_IRQCHIP_IOAPIC);
  const kvm_ioapic_state& ioapic = chip.chip.ioapic;
  IoapicStateV1 saved{ioapic.base_address, ioapic.ioregsel, ioapic.id, ioapic.irr, {}};
  for (std::size_t i = 0; i < saved.redirection.size(); ++i) saved.redirection[i] = ioapic.redirtbl[i].bits;
  return saved;
}

void restore_ioapic(KvmVm& vm, const IoapicStateV1& saved) {
  kvm_irqchip chip{};
  chip.chip_id = KVM_IRQCHIP_IOAPIC;
  kvm_ioapic_state& ioapic = chip.chip.ioapic;
  ioapic.base_address = saved.base_address;
  ioapic.ioregsel = saved.ioregsel;
  ioapic.id = saved.id;
  ioapic.irr = saved.irr;
  for (std::size_t i = 0; i < saved.redirection.size(); ++i) ioapic.redirtbl[i].bits = saved.redirection[i];
  vm.set_irqchip(chip);
}

}  // namespace

StateRecord IrqchipState::save_state() const {
  return to_record(
      IrqchipStateV1{save_pic(vm_, KVM_IRQCHIP_PIC_MASTER), save_pic(vm_, KVM_IRQCHIP_PIC_SLAVE), save_ioapic(vm_)});
}

void IrqchipState::check(const StateRecord& record) { static_cast<void>(from_record<IrqchipStateV1>(record)); }

// The IOAPIC last: writing it delivers what it holds to the local APICs, which must have their state by then (the
// machine restores vCPUs first).
void IrqchipState::restore_state(const StateRecord& record) {
  const auto saved = from_record<IrqchipStateV1>(record);
  restore_pic(vm_, KVM_IRQCHIP_PIC_MASTER, saved.pic_master);
  restore_pic(vm_, KVM_IRQCHIP_PIC_SLAVE, saved.pic_slave);
  restore_ioapic(vm_, saved.ioapic);
}

StateRecord PitState::save_state() const {
  const kvm_pit_state2 pit = vm_.pit();
  PitStateV1 saved;
  saved.flags = pit.flags;
  for (const kvm_pit_channel_state& channel : pit.channels)
    pair_channel(saved.channels.emplace_back(), channel, kFromKvm);
  return to_record(saved);
}

void PitState::check(const StateRecord& record) {
  const auto saved = from_record<PitStateV1>(record);
  if (saved.channels.size() != std::size(kvm_pit_state2{}.channels))
    throw StateError("the saved state of the PIT is damaged: it has not three channels");
}

void PitState::restore_state(const StateRecord& record) {
  const auto saved = from_record<PitStateV1>(record);
  kvm_pit_state2 pit{};
  pit.flags = saved.flags;
  for (std::size_t i = 0; i < saved.channels.size(); ++i) pair_channel(saved.channels[i], pit.channels[i], kToKvm);
  vm_.set_pit(pit);
}

StateRecord ClockState::save_state() const {
  kvm_clock_data clock{};
  const auto at = brief_call([&] { clock = vm_.clock(); });
  clock.clock -= std::min<std::uint64_t>(clock.clock, static_cast<std::uint64_t>(tscs_.since_read(at).count()));
  const bool has_realtime = (clock.flags & KVM_CLOCK_REALTIME) != 0;
  const bool has_tsc = (clock.flags & KVM_CLOCK_HOST_TSC) != 0;
  return to_record(ClockStateV1{clock.clock, has_realtime ? clock.realtime : 0, has_tsc ? clock.host_tsc : 0});
}

void ClockState::check(const StateRecord& record) { static_cast<void>(from_record<ClockStateV1>(record)); }

// Without KVM_CLOCK_REALTIME in the flags KVM sets the clock to just this value: time stood still between capture and
// restore.
void ClockState::restore_state(const StateRecord& record) {
  const std::uint64_t saved = from_record<ClockStateV1>(record).nanoseconds;
  brief_call([&] {
    kvm_clock_data clock{};
    clock.clock = saved + static_cast<std::uint64_t>(tscs_.since_given(TscGroup::Clock::now()).count());
    vm_.set_clock(clock);
  });
}

}  // namespace tintype
