// SPDX-License-Identifier: Apache-2.0
#include "vmm/kvm/vm.h"

#include <algorithm>

#include "vmm/kvm/ioctl.h"
#include "vmm/kvm/lists.h"

namespace tintype {

void KvmVm::set_memory(std::uint32_t slot, std::uint64_t guest_address, std::uint64_t size, const void* host,
                       std::uint32_t flags) {
  kvm_userspace_memory_region region{};
  region.slot = slot;
  region.flags = flags;
  region.guest_phys_addr = guest_address;
  region.memory_size = size;
  region.userspace_addr = reinterpret_cast<std::uint64_t>(host);
  kvm_ioctl(fd(), KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");
}

void KvmVm::take_dirty_log(std::uint32_t slot, std::span<std::uint64_t> bits) {
  kvm_dirty_log log{};
  log.slot = slot;
  log.dirty_bitmap = bits.data();
  kvm_ioctl(fd(), KVM_GET_DIRTY_LOG, &log, "KVM_GET_DIRTY_LOG");
}

void KvmVm::set_tss_address(std::uint32_t address) {
  kvm_ioctl(fd(), KVM_SET_TSS_ADDR, static_cast<unsigned long>(address), "KVM_SET_TSS_ADDR");
}

void KvmVm::set_identity_map_address(std::uint64_t address) {
  kvm_ioctl(fd(), KVM_SET_IDENTITY_MAP_ADDR, &address, "KVM_SET_IDENTITY_MAP_ADDR");
}

void KvmVm::create_irqchip() { kvm_ioctl(fd(), KVM_CREATE_IRQCHIP, 0UL, "KVM_CREATE_IRQCHIP"); }

void KvmVm::create_pit() {
  kvm_pit_config config{};
  config.flags = KVM_PIT_SPEAKER_DUMMY;
  kvm_ioctl(fd(), KVM_CREATE_PIT2, &config, "KVM_CREATE_PIT2");
}

UniqueFd KvmVm::create_vcpu(unsigned id) {
  return UniqueFd(kvm_ioctl(fd(), KVM_CREATE_VCPU, static_cast<unsigned long>(id), "KVM_CREATE_VCPU"));
}

void KvmVm::set_gsi_routing(std::span<const kvm_irq_routing_entry> entries) {
  KvmRouting list(entries.size());
  list.head().nr = static_cast<std::uint32_t>(entries.size());
  std::copy(entries.begin(), entries.end(), list.entries().begin());
  kvm_ioctl(fd(), kKvmSetGsiRouting, &list.head(), "KVM_SET_GSI_ROUTING");
}

void KvmVm::set_irq_line(std::uint32_t gsi, bool asserted) {
  kvm_irq_level level{};
  level.irq = gsi;
  level.level = asserted ? 1 : 0;
  kvm_ioctl(fd(), KVM_IRQ_LINE, &level, "KVM_IRQ_LINE");
}

void KvmVm::attach_ioeventfd(int event_fd, std::uint64_t address, std::uint32_t value) {
  kvm_ioeventfd ioeventfd{};
  ioeventfd.datamatch = value;
  ioeventfd.addr = address;
  ioeventfd.len = sizeof value;
  ioeventfd.fd = event_fd;
  ioeventfd.flags = KVM_IOEVENTFD_FLAG_DATAMATCH;
  kvm_ioctl(fd(), KVM_IOEVENTFD, &ioeventfd, "KVM_IOEVENTFD");
}

kvm_irqchip KvmVm::irqchip(std::uint32_t chip_id) const {
  kvm_irqchip chip{};
  chip.chip_id = chip_id;
  kvm_ioctl(fd(), KVM_GET_IRQCHIP, &chip, "KVM_GET_IRQCHIP");
  return chip;
}

void KvmVm::set_irqchip(const kvm_irqchip& chip) {
  kvm_irqchip copy = chip;
  kvm_ioctl(fd(), KVM_SET_IRQCHIP, &copy, "KVM_SET_IRQCHIP");
}

kvm_pit_state2 KvmVm::pit() const {
  kvm_pit_state2 state{};
  kvm_ioctl(fd(), KVM_GET_PIT2, &state, "KVM_GET_PIT2");
  return state;
}

void KvmVm::set_pit(const kvm_pit_state2& state) {
  kvm_pit_state2 copy = state;
  kvm_ioctl(fd(), KVM_SET_PIT2, &copy, "KVM_SET_PIT2");
}

kvm_clock_data KvmVm::clock() const {
  kvm_clock_data clock{};
  kvm_ioctl(fd(), KVM_GET_CLOCK, &clock, "KVM_GET_CLOCK");
  return clock;
}

void KvmVm::set_clock(const kvm_clock_data& clock) {
  kvm_clock_data copy = clock;
  kvm_ioctl(fd(), KVM_SET_CLOCK, &copy, "KVM_SET_CLOCK");
}

int KvmVm::extension(int capability) const {
  return kvm_ioctl(fd(), KVM_CHECK_EXTENSION, static_cast<unsigned long>(capability), "KVM_CHECK_EXTENSION");
}

void KvmVm::enable_capability(std::uint32_t capability, std::uint64_t argument) {
  kvm_enable_cap request{};
  request.cap = capability;
  request.args[0] = argument;
  kvm_ioctl(fd(), KVM_ENABLE_CAP, &request, "KVM_ENABLE_CAP");
}

}  // namespace tintype
