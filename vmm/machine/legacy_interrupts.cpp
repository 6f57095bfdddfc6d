// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/legacy_interrupts.h"

namespace tintype {

namespace {

constexpr std::uint8_t kMasterVectors = 0x08, kSlaveVectors = 0x70;  // as every PC's firmware has them
constexpr std::uint8_t kAllMasked = 0xff;
constexpr std::uint8_t kTimerAndCascade = 1U << 0 | 1U << 2;

constexpr std::uint32_t kSlowestCount = 0x10000;  // 1193182 Hz / 65536 = 18.2 Hz
constexpr std::uint8_t kRateGenerator = 2;
constexpr std::uint8_t kLowThenHighByte = 3;  // KVM's RW_STATE_WORD0: the next access is the low byte's

void program_pic(KvmVm& vm, std::uint32_t chip_id, std::uint8_t vectors, std::uint8_t mask) {
  kvm_irqchip chip = vm.irqchip(chip_id);
  chip.chip.pic.irq_base = vectors;
  chip.chip.pic.imr = mask;
  vm.set_irqchip(chip);
}

void start_tick(KvmVm& vm) {
  kvm_pit_state2 pit = vm.pit();
  kvm_pit_channel_state& tick = pit.channels[0];
  tick.count = kSlowestCount;
  tick.mode = kRateGenerator;
  tick.rw_mode = tick.read_state = tick.write_state = kLowThenHighByte;
  vm.set_pit(pit);
}

}  // namespace

void set_legacy_interrupts(KvmVm& vm, InterruptStart start) {
  const bool ticks = start == InterruptStart::kFirmware;
  program_pic(vm, KVM_IRQCHIP_PIC_MASTER, kMasterVectors,
              ticks ? static_cast<std::uint8_t>(kAllMasked & ~kTimerAndCascade) : kAllMasked);
  program_pic(vm, KVM_IRQCHIP_PIC_SLAVE, kSlaveVectors, kAllMasked);
  if (ticks) start_tick(vm);
}

}  // namespace tintype
