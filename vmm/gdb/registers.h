// SPDX-License-Identifier: Apache-2.0
#pragma once

// A CPU's registers as gdb wants them (gdb manual, appendix G.5.6, "i386 features"): a description in XML, and their
// values in the same order.

#include <cstdint>
#include <optional>
#include <string>

#include "checkpoint/state/vcpu_state.h"

namespace tintype {

/// Which description: x86-64 for a CPU in long mode, i386 for all others, real mode too.
enum class GdbArchitecture : std::uint8_t { kI386, kX86_64 };
GdbArchitecture architecture_of(const VcpuRegisters& registers) noexcept;

/// What is read as target.xml.
std::string target_description(GdbArchitecture architecture);
/// All of them, in hexadecimal, each little-endian.
std::string registers_hex(GdbArchitecture architecture, const VcpuRegisters& registers);
/// One, by its number; nothing where there is none.
std::optional<std::string> register_hex(GdbArchitecture architecture, const VcpuRegisters& registers,
                                        std::uint64_t number);

}  // namespace tintype
