// SPDX-License-Identifier: Apache-2.0
#pragma once

// The machine's generation: a random number that is another one whenever a machine comes back from a checkpoint, so
// that a guest can tell that it is not the only one of its kind, and draw fresh randomness. As Microsoft's "Virtual
// Machine Generation ID" (August 2012) has it: 128 bits in memory that no operating system uses, which an ACPI device
// points at (_CID "VM_Gen_Counter" and "VMGENCTR", ADDR) and a notification, value 0x80, that it has changed.

#include <array>
#include <cstdint>

#include "vmm/boot/layout.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

using GenerationId = std::array<std::uint8_t, 16>;

/// Where the ID lies. Before it stands a mark, by which a checkpoint's memory says that it has one: checkpoints that
/// were taken before there was such a thing do not, nor do guests that were given no tables.
inline constexpr std::uint64_t kGenerationAddress = kGenerationArea.start + 16;

/// The line on which the notification comes (ACPI's generic event device, one edge). Nothing else is on it: there is no
/// second serial port.
inline constexpr std::uint32_t kGenerationIrq = 3;

/// For a machine that boots.
void place_generation(GuestMemory& memory);
/// Another one, where there is one. False where there is none. Throws tintype::Error where memory cannot be read.
bool renew_generation(GuestMemory& memory);

}  // namespace tintype
