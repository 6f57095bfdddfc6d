// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where things are in the guest's machine: ports, interrupt lines, MMIO windows. Three rooms must agree on
// them: vmm/boot writes them into the ACPI tables, devices/ answers there, vmm/machine wires the two. Nothing
// else belongs here.
//
// Interrupt numbers are GSIs: 0-15 are the ISA lines (also wired to the PIC), 16-23 only to the IOAPIC.

#include <array>
#include <cstddef>
#include <cstdint>

namespace tintype {

// --- ports ---

inline constexpr std::uint16_t kCom1Port = 0x3f8;
inline constexpr std::uint16_t kCom1PortCount = 8;
inline constexpr std::uint32_t kCom1Irq = 4;

/// Index; data is the next port. The clock raises no interrupt: a PNP0B00 node in the DSDT without an IRQ
/// says so, and then no guest waits for one.
inline constexpr std::uint16_t kRtcPort = 0x70;
inline constexpr std::uint16_t kRtcPortCount = 2;
inline constexpr std::uint8_t kRtcCenturyRegister = 0x32;  ///< for FADT.CENTURY

inline constexpr std::uint16_t kI8042DataPort = 0x60;
inline constexpr std::uint16_t kI8042CommandPort = 0x64;
inline constexpr std::uint32_t kI8042KeyboardIrq = 1;

inline constexpr std::uint16_t kDebugExitPort = 0xf4;  ///< as QEMU's isa-debug-exit: four ports, any width
inline constexpr std::uint16_t kDebugExitPortCount = 4;

inline constexpr std::uint16_t kPvpanicPort = 0x505;  ///< as QEMU's pvpanic

// ACPI fixed hardware, one block of ports (ACPI 6.5, 4.8.3).
inline constexpr std::uint16_t kAcpiPmBase = 0x600;
inline constexpr std::uint16_t kAcpiPmPortCount = 16;
inline constexpr std::uint16_t kAcpiPm1aEventPort = kAcpiPmBase;  ///< status (2 bytes), then enable (2 bytes)
inline constexpr std::uint16_t kAcpiPm1aEventLength = 4;
inline constexpr std::uint16_t kAcpiPm1aControlPort = kAcpiPmBase + 4;
inline constexpr std::uint16_t kAcpiPm1aControlLength = 2;
inline constexpr std::uint16_t kAcpiPmTimerPort =
    kAcpiPmBase + 8;  ///< 24 bits wide: TMR_VAL_EXT stays clear in the FADT
inline constexpr std::uint16_t kAcpiPmTimerLength = 4;

/// For FADT.RESET_REG and RESET_VALUE. One port wide, in the middle of PCI's configuration address, as on a
/// PC.
inline constexpr std::uint16_t kAcpiResetPort = 0xcf9;
inline constexpr std::uint8_t kAcpiResetValue = 0x06;

/// Both SLP_TYP values of the DSDT's \_S5: the guest writes kAcpiSleepTypeS5 << 10 | SLP_EN (bit 13) to PM1a
/// control.
inline constexpr std::uint8_t kAcpiSleepTypeS5 = 5;

/// The PIT raises ISA line 0, which on a PC ends at this pin of the IOAPIC (the MADT says so by an interrupt
/// source override). KVM's default routing ends it at pin 0, so the machine sets the routing itself: GSI 0 to
/// PIC pin 0 and to this.
inline constexpr std::uint32_t kTimerIoApicPin = 2;

/// The line of the SCI: level-triggered, active high (the MADT's interrupt source override must say so).
inline constexpr std::uint32_t kSciIrq = 9;

// --- MMIO windows, all in the hole below 4 GiB ---

inline constexpr std::uint64_t kVirtioMmioBase = 0xd000'0000;
inline constexpr std::uint64_t kVirtioMmioStride = 0x1000;

/// Slot i answers at kVirtioMmioBase + i * kVirtioMmioStride and raises this line, edge-triggered, active
/// high. ISA numbers come first because a kernel without ACPI can use only those.
inline constexpr std::array<std::uint32_t, 16> kVirtioMmioIrqs = {5,  6,  7,  10, 11, 12, 14, 15,
                                                                  16, 17, 18, 19, 20, 21, 22, 23};
inline constexpr std::size_t kVirtioMmioSlots = kVirtioMmioIrqs.size();

constexpr std::uint64_t virtio_mmio_address(std::size_t slot) noexcept {
  return kVirtioMmioBase + slot * kVirtioMmioStride;
}

inline constexpr std::uint64_t kIoApicBase = 0xfec0'0000;
inline constexpr std::uint64_t kLocalApicBase = 0xfee0'0000;

}  // namespace tintype
