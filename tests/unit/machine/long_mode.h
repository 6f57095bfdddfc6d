// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/kvm.h>

#include <cstdint>

namespace tintype {

/// Registers of a CPU in long mode, with four levels of tables from `cr3` on.
inline kvm_sregs long_mode(std::uint64_t cr3) {
  kvm_sregs sregs{};
  sregs.cr0 = 1ULL << 31 | 1;
  sregs.cr4 = 1 << 5;
  sregs.efer = 1 << 10;
  sregs.cr3 = cr3;
  return sregs;
}

}  // namespace tintype
