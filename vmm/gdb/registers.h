// SPDX-License-Identifier: Apache-2.0
#pragma once

// A CPU's registers as gdb wants them (gdb manual, appendix G.5.6, "i386 features"): a description in XML, and their
// values in the same order.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

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

/// The other way: a value as gdb gives it. False where it is of another size, or there is no such register, or one that
/// cannot be set so (a segment's selector is nothing without its descriptor).
[[nodiscard]] bool set_register(GdbArchitecture architecture, VcpuRegisters& registers, std::uint64_t number,
                                std::string_view hex);
/// All of them; those that cannot be set stay.
[[nodiscard]] bool set_registers(GdbArchitecture architecture, VcpuRegisters& registers, std::string_view hex);

}  // namespace tintype
