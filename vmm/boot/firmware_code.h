// SPDX-License-Identifier: Apache-2.0
#pragma once

// The few real-mode instructions that stand where a PC's BIOS has its interrupt handlers. Each is left by IRET and
// changes no register.

#include <array>
#include <cstdint>

namespace tintype {

/// Every vector that nobody handles.
inline constexpr std::array<std::uint8_t, 1> kInterruptReturn = {0xcf};  // iret

/// A line of the first PIC: acknowledged, so that the next interrupt can come.
inline constexpr std::array<std::uint8_t, 7> kEndMasterInterrupt = {
    0x50,        // push ax
    0xb0, 0x20,  // mov al, 0x20: end of interrupt
    0xe6, 0x20,  // out 0x20, al
    0x58,        // pop ax
    0xcf,        // iret
};

/// A line of the second PIC, which hangs on the first.
inline constexpr std::array<std::uint8_t, 9> kEndSlaveInterrupt = {
    0x50,        // push ax
    0xb0, 0x20,  // mov al, 0x20
    0xe6, 0xa0,  // out 0xa0, al
    0xe6, 0x20,  // out 0x20, al
    0x58,        // pop ax
    0xcf,        // iret
};

/// The timer: counts ticks since midnight in the BIOS data area, as programs of the PC expect (a day has 0x1800b0),
/// and calls the vector that is theirs to take.
inline constexpr std::array<std::uint8_t, 49> kCountTick = {
    0x1e,                                                  // push ds
    0x50,                                                  // push ax
    0xb8, 0x40, 0x00,                                      // mov ax, 0x40: the BIOS data area
    0x8e, 0xd8,                                            // mov ds, ax
    0x66, 0xff, 0x06, 0x6c, 0x00,                          // inc dword [0x6c]
    0x66, 0x81, 0x3e, 0x6c, 0x00, 0xb0, 0x00, 0x18, 0x00,  // cmp dword [0x6c], 0x1800b0
    0x72, 0x11,                                            // jb over the next three
    0xc7, 0x06, 0x6c, 0x00, 0x00, 0x00,                    // mov word [0x6c], 0
    0xc7, 0x06, 0x6e, 0x00, 0x00, 0x00,                    // mov word [0x6e], 0
    0xc6, 0x06, 0x70, 0x00, 0x01,                          // mov byte [0x70], 1: midnight has passed
    0xcd, 0x1c,                                            // int 0x1c
    0xb0, 0x20,                                            // mov al, 0x20
    0xe6, 0x20,                                            // out 0x20, al
    0x58,                                                  // pop ax
    0x1f,                                                  // pop ds
    0xcf,                                                  // iret
};

}  // namespace tintype
