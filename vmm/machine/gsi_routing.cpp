// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/gsi_routing.h"

#include "vmm/base/address_map.h"

namespace tintype {

namespace {

constexpr std::uint32_t kPicPins = 8;
constexpr std::uint32_t kCascadePin = 2;  // where the second PIC hangs on the first

kvm_irq_routing_entry route(std::uint32_t gsi, std::uint32_t chip, std::uint32_t pin) {
  kvm_irq_routing_entry entry{};
  entry.gsi = gsi;
  entry.type = KVM_IRQ_ROUTING_IRQCHIP;
  entry.u.irqchip.irqchip = chip;
  entry.u.irqchip.pin = pin;
  return entry;
}

}  // namespace

std::vector<kvm_irq_routing_entry> pc_gsi_routing() {
  std::vector<kvm_irq_routing_entry> routes;
  for (std::uint32_t gsi = 0; gsi < 2 * kPicPins; ++gsi) {
    if (gsi == kCascadePin) continue;
    routes.push_back(gsi < kPicPins ? route(gsi, KVM_IRQCHIP_PIC_MASTER, gsi)
                                    : route(gsi, KVM_IRQCHIP_PIC_SLAVE, gsi - kPicPins));
  }
  for (std::uint32_t gsi = 0; gsi < KVM_IOAPIC_NUM_PINS; ++gsi) {
    if (gsi != kCascadePin) routes.push_back(route(gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? kTimerIoApicPin : gsi));
  }
  return routes;
}

}  // namespace tintype
