// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/kvm.h>

#include <cstdint>
#include <string_view>

namespace tintype {

/// Why KVM_RUN returned (Linux, KVM API, 5), in a word: of those reasons that this program's machines meet.
constexpr std::string_view exit_name(std::uint32_t reason) noexcept {
  switch (reason) {
    case KVM_EXIT_IO:
      return "pio";
    case KVM_EXIT_MMIO:
      return "mmio";
    case KVM_EXIT_INTR:
      return "signal";
    case KVM_EXIT_IRQ_WINDOW_OPEN:
      return "irq-window";
    case KVM_EXIT_HLT:
      return "hlt";
    case KVM_EXIT_DEBUG:
      return "debug";
    case KVM_EXIT_SHUTDOWN:
      return "shutdown";
    case KVM_EXIT_SYSTEM_EVENT:
      return "system";
    case KVM_EXIT_FAIL_ENTRY:
      return "fail-entry";
    case KVM_EXIT_INTERNAL_ERROR:
      return "internal-error";
    default:
      return "other";
  }
}

}  // namespace tintype
