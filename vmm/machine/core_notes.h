// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "checkpoint/state/vcpu_state.h"

namespace tintype {

/// The notes of a core file, one after the other, each with its header (System V ABI, "Note Section").
class CoreNotes {
 public:
  /// NT_PRSTATUS: the general registers of a CPU, as if it were a thread of this number.
  void add_registers(const VcpuRegisters& cpu, std::uint32_t thread);
  /// What QEMU's dumps have of a CPU beside that: segments and control registers (QEMUCPUState, version 1).
  void add_system_registers(const VcpuRegisters& cpu);
  void add_vmcoreinfo(std::string_view text);

  const std::vector<std::byte>& bytes() const noexcept { return bytes_; }

 private:
  void add(std::string_view name, std::uint32_t type, std::span<const std::byte> description);

  std::vector<std::byte> bytes_;
};

}  // namespace tintype
