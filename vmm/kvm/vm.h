// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/kvm.h>

#include <cstdint>
#include <span>

#include "vmm/base/unique_fd.h"
#include "vmm/kvm/system.h"

namespace tintype {

/// One virtual machine of KVM's: a typed method for each VM ioctl. All throw std::system_error.
class KvmVm {
 public:
  explicit KvmVm(const KvmSystem& system) : fd_(system.create_vm()) {}

  int fd() const noexcept { return fd_.get(); }

  /// KVM_SET_USER_MEMORY_REGION. `flags`: KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY; size 0 removes the slot.
  void set_memory(std::uint32_t slot, std::uint64_t guest_address, std::uint64_t size, const void* host,
                  std::uint32_t flags = 0);

  /// KVM_GET_DIRTY_LOG of a slot with KVM_MEM_LOG_DIRTY_PAGES: a bit for each page that the guest, or KVM for it, wrote
  /// to since the last call. `bits` has one for each page of the slot, in whole words.
  void take_dirty_log(std::uint32_t slot, std::span<std::uint64_t> bits);

  void set_tss_address(std::uint32_t address);           ///< KVM_SET_TSS_ADDR: three pages that Intel's real mode needs
  void set_identity_map_address(std::uint64_t address);  ///< KVM_SET_IDENTITY_MAP_ADDR: one page, likewise
  void create_irqchip();                                 ///< PIC, IOAPIC, and a LAPIC for each vCPU
  void create_pit();                                     ///< KVM_CREATE_PIT2, with the speaker port answered by KVM
  UniqueFd create_vcpu(unsigned id);

  void set_gsi_routing(std::span<const kvm_irq_routing_entry> entries);  ///< KVM_SET_GSI_ROUTING: replaces all of it
  void set_irq_line(std::uint32_t gsi, bool asserted);                   ///< KVM_IRQ_LINE
  /// KVM_IOEVENTFD: a 4-byte guest write of `value` at MMIO `address` signals `event_fd` and does not exit.
  void attach_ioeventfd(int event_fd, std::uint64_t address, std::uint32_t value);

  kvm_irqchip irqchip(std::uint32_t chip_id) const;  ///< KVM_IRQCHIP_PIC_MASTER, _PIC_SLAVE, _IOAPIC
  void set_irqchip(const kvm_irqchip& chip);
  kvm_pit_state2 pit() const;
  void set_pit(const kvm_pit_state2& state);
  kvm_clock_data clock() const;
  void set_clock(const kvm_clock_data& clock);

  int extension(int capability) const;  ///< KVM_CHECK_EXTENSION on the VM: may differ from the system's
  void enable_capability(std::uint32_t capability, std::uint64_t argument);

 private:
  UniqueFd fd_;
};

}  // namespace tintype
