// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vmm/boot/placement.h"
#include "vmm/boot/request.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// What a PC's firmware leaves behind in the first mebibyte: interrupt vectors, BIOS data area, extended BIOS
/// data area. There is no BIOS behind it: a real-mode `int` returns at once and does nothing. Hardware
/// interrupts are acknowledged, and the timer's counts the BIOS's ticks (0x46c) and calls `int 0x1c`.
void place_firmware(GuestMemory& memory, const BootRequest& request, Placement& placement);

}  // namespace tintype
