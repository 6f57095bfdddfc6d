// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/state/platform_state.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>
#include <vector>

namespace tintype {

namespace {

struct PicStateV1 {
  static constexpr std::string_view kType = "i8259";
  static constexpr std::uint32_t kVersion = 1;
  std::uint8_t last_irr = 0, irr = 0, imr = 0, isr = 0, priority_add = 0, irq_base = 0, read_reg_select = 0, poll = 0;
  std::uint8_t special_mask = 0, init_state = 0, auto_eoi = 0, rotate_on_auto_eoi = 0, special_fully_nested_mode = 0;
  std::uint8_t init4 = 0, elcr = 0, elcr_mask = 0;
  bool operator==(const PicStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "last_irr", self.last_irr);
    field(2, "irr", self.irr);
    field(3, "imr", self.imr);
    field(4, "isr", self.isr);
    field(5, "priority_add", self.priority_add);
    field(6, "irq_base", self.irq_base);
    field(7, "read_reg_select", self.read_reg_select);
    field(8, "poll", self.poll);
    field(9, "special_mask", self.special_mask);
    field(10, "init_state", self.init_state);
    field(11, "auto_eoi", self.auto_eoi);
    field(12, "rotate_on_auto_eoi", self.rotate_on_auto_eoi);
    field(13, "special_fully_nested_mode", self.special_fully_nested_mode);
    field(14, "init4", self.init4);
    field(15, "elcr", self.elcr);
    field(16, "elcr_mask", self.elcr_mask);
  }
};

struct IoapicStateV1 {
  static constexpr std::string_view kType = "ioapic";
  static constexpr std::uint32_t kVersion = 1;
  std::uint64_t base_address = 0;
  std::uint32_t ioregsel = 0, id = 0, irr = 0;
  std::array<std::uint64_t, KVM_IOAPIC_NUM_PINS> redirection{};
  bool operator==(const IoapicStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "base_address", self.base_address);
    field(2, "ioregsel", self.ioregsel);
    field(3, "id", self.id);
    field(4, "irr", self.irr);
    field(5, "redirection", self.redirection);
  }
};

struct IrqchipStateV1 {
  static constexpr std::string_view kType = "irqchip";
  static constexpr std::uint32_t kVersion = 1;
  PicStateV1 pic_master, pic_slave;
  IoapicStateV1 ioapic;
  bool operator==(const IrqchipStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "pic_master", self.pic_master);
    field(2, "pic_slave", self.pic_slave);
    field(3, "ioapic", self.ioapic);
  }
};

struct PitChannelStateV1 {
  static constexpr std::string_view kType = "i8254-channel";
  static constexpr std::uint32_t kVersion = 1;
  std::uint32_t count = 0;
  std::uint16_t latched_count = 0;
  std::uint8_t count_latched = 0, status_latched = 0, status = 0, read_state = 0, write_state = 0, write_latch = 0;
  std::uint8_t rw_mode = 0, mode = 0, bcd = 0, gate = 0;
  std::int64_t count_load_time = 0;
  bool operator==(const PitChannelStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "count", self.count);
    field(2, "latched_count", self.latched_count);
    field(3, "count_latched", self.count_latched);
    field(4, "status_latched", self.status_latched);
    field(5, "status", self.status);
    field(6, "read_state", self.read_state);
    field(7, "write_state", self.write_state);
    field(8, "write_latch", self.write_latch);
    field(9, "rw_mode", self.rw_mode);
    field(10, "mode", self.mode);
    field(11, "bcd", self.bcd);
    field(12, "gate", self.gate);
    field(13, "count_load_time", self.count_load_time);
  }
};

struct PitStateV1 {
  static constexpr std::string_view kType = "i8254";
  static constexpr std::uint32_t kVersion = 1;
  std::vector<PitChannelStateV1> channels;
  std::uint32_t flags = 0;
  bool operator==(const PitStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "channels", self.channels);
    field(2, "flags", self.flags);
  }
};

struct ClockStateV1 {
  static constexpr std::string_view kType = "kvmclock";
  static constexpr std::uint32_t kVersion = 1;
  std::uint64_t nanoseconds = 0;
  std::uint64_t realtime = 0;  ///< host's wall clock at the capture, nanoseconds; 0 where KVM did not tell
  std::uint64_t host_tsc = 0;  ///< likewise
  bool operator==(const ClockStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "nanoseconds", self.nanoseconds);
    field(2, "realtime", self.realtime);
    field(3, "host_tsc", self.host_tsc);
  }
};

constexpr auto kFromKvm = [](auto& ours, const auto& kvm) {
  ours = static_cast<std::remove_reference_t<decltype(ours)>>(kvm);
};
constexpr auto kToKvm = [](const auto& ours, auto& kvm) {
  kvm = static_cast<std::remove_reference_t<decltype(kvm)>>(ours);
};

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

void IrqchipState::check_state(const StateRecord& record) const {
  static_cast<void>(from_record<IrqchipStateV1>(record));
}

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

void PitState::check_state(const StateRecord& record) const {
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
  const kvm_clock_data clock = vm_.clock();
  const bool has_realtime = (clock.flags & KVM_CLOCK_REALTIME) != 0;
  const bool has_tsc = (clock.flags & KVM_CLOCK_HOST_TSC) != 0;
  return to_record(ClockStateV1{clock.clock, has_realtime ? clock.realtime : 0, has_tsc ? clock.host_tsc : 0});
}

void ClockState::check_state(const StateRecord& record) const { static_cast<void>(from_record<ClockStateV1>(record)); }

// Without KVM_CLOCK_REALTIME in the flags KVM sets the clock to just this value: time stood still between capture and
// restore.
void ClockState::restore_state(const StateRecord& record) {
  kvm_clock_data clock{};
  clock.clock = from_record<ClockStateV1>(record).nanoseconds;
  vm_.set_clock(clock);
}

}  // namespace tintype
