// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/kvm.h>

#include <chrono>

namespace tintype {

/// What KVM shows of a local APIC, and when it was read. The clock is the one by which KVM's own timer runs.
struct ApicLook {
  kvm_lapic_state lapic{};
  std::chrono::steady_clock::time_point when;
};

/// Its timer is in periodic mode and delivers: the one mode in which a tick can be past and seen nowhere.
bool ticks_periodically(const kvm_lapic_state& lapic) noexcept;

/// No interrupt came, went or was taken between the two; the timer's count may differ.
bool same_but_for_time(const kvm_lapic_state& a, const kvm_lapic_state& b) noexcept;

/// Makes the copy `now` of a periodic local APIC hold the tick that came since `parked`, which held all that had come
/// before; or that is due this very moment. The vCPU did not run in between. Several ticks are one, as in an APIC.
void hold_tick_since(const ApicLook& parked, ApicLook& now) noexcept;

}  // namespace tintype
