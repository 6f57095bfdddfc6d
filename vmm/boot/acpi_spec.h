// SPDX-License-Identifier: Apache-2.0
#pragma once

// The fixed tables of ACPI 6.5, chapter 5.2. What is not named has to be zero.

#include <array>
#include <cstddef>
#include <cstdint>

namespace tintype::acpi {

using Text4 = std::array<char, 4>;
using Text6 = std::array<char, 6>;
using Text8 = std::array<char, 8>;

/// 5.2.5.3
struct [[gnu::packed]] Rsdp {
  Text8 signature;                   // 0
  std::uint8_t checksum;             // 8, of the first 20 bytes
  Text6 oem_id;                      // 9
  std::uint8_t revision;             // 15
  std::uint32_t rsdt;                // 16
  std::uint32_t length;              // 20
  std::uint64_t xsdt;                // 24
  std::uint8_t extended_checksum;    // 32, of all
  std::array<std::uint8_t, 3> zero;  // 33
};
static_assert(sizeof(Rsdp) == 36);
inline constexpr std::size_t kRsdpFirstPart = 20;

/// 5.2.6
struct [[gnu::packed]] Header {
  Text4 signature;                 // 0
  std::uint32_t length;            // 4
  std::uint8_t revision;           // 8
  std::uint8_t checksum;           // 9
  Text6 oem_id;                    // 10
  Text8 oem_table_id;              // 16
  std::uint32_t oem_revision;      // 24
  Text4 creator_id;                // 28
  std::uint32_t creator_revision;  // 32
};
static_assert(sizeof(Header) == 36);

/// 5.2.3.2
struct [[gnu::packed]] GenericAddress {
  std::uint8_t space;        // 0, 1: ports
  std::uint8_t bit_width;    // 1
  std::uint8_t bit_offset;   // 2
  std::uint8_t access_size;  // 3, 1: byte, 2: word, 3: dword
  std::uint64_t address;     // 4
};
static_assert(sizeof(GenericAddress) == 12);

/// 5.2.9
struct [[gnu::packed]] Fadt {
  Header header;                            // 0
  std::uint32_t facs;                       // 36
  std::uint32_t dsdt;                       // 40
  std::uint8_t zero_44;                     // 44
  std::uint8_t preferred_profile;           // 45
  std::uint16_t sci_line;                   // 46
  std::uint32_t smi_command_port;           // 48, 0: ACPI mode from the start
  std::array<std::uint8_t, 4> smi_values;   // 52
  std::uint32_t pm1a_event_port;            // 56
  std::uint32_t pm1b_event_port;            // 60
  std::uint32_t pm1a_control_port;          // 64
  std::uint32_t pm1b_control_port;          // 68
  std::uint32_t pm2_control_port;           // 72
  std::uint32_t pm_timer_port;              // 76
  std::array<std::uint32_t, 2> gpe_ports;   // 80
  std::uint8_t pm1_event_length;            // 88
  std::uint8_t pm1_control_length;          // 89
  std::uint8_t pm2_control_length;          // 90
  std::uint8_t pm_timer_length;             // 91
  std::array<std::uint8_t, 4> gpe_and_cst;  // 92
  std::uint16_t c2_latency;                 // 96
  std::uint16_t c3_latency;                 // 98
  std::array<std::uint8_t, 8> flush_duty;   // 100
  std::uint8_t century;                     // 108
  std::uint16_t boot_architecture;          // 109
  std::uint8_t zero_111;                    // 111
  std::uint32_t flags;                      // 112
  GenericAddress reset_register;            // 116
  std::uint8_t reset_value;                 // 128
  std::uint16_t arm_boot_architecture;      // 129
  std::uint8_t minor_version;               // 131
  std::uint64_t x_facs;                     // 132
  std::uint64_t x_dsdt;                     // 140
  GenericAddress x_pm1a_event;              // 148
  GenericAddress x_pm1b_event;              // 160
  GenericAddress x_pm1a_control;            // 172
  GenericAddress x_pm1b_control;            // 184
  GenericAddress x_pm2_control;             // 196
  GenericAddress x_pm_timer;                // 208
  std::array<GenericAddress, 4> gpe_sleep;  // 220
  std::uint64_t hypervisor;                 // 268
};
static_assert(sizeof(Fadt) == 276);
static_assert(offsetof(Fadt, flags) == 112 && offsetof(Fadt, x_dsdt) == 140 && offsetof(Fadt, x_pm_timer) == 208);

// Fadt::boot_architecture
inline constexpr std::uint16_t kHasLegacyDevices = 1 << 0;
inline constexpr std::uint16_t kHasI8042 = 1 << 1;
inline constexpr std::uint16_t kNoVga = 1 << 2;
inline constexpr std::uint16_t kNoMsi = 1 << 3;

// Fadt::flags
inline constexpr std::uint32_t kWbinvdWorks = 1 << 0;
inline constexpr std::uint32_t kC1Works = 1 << 2;
inline constexpr std::uint32_t kNoPowerButtonRegister = 1 << 4;
inline constexpr std::uint32_t kNoSleepButtonRegister = 1 << 5;
inline constexpr std::uint32_t kNoClockWakeRegister = 1 << 6;
inline constexpr std::uint32_t kResetRegisterWorks = 1 << 10;

/// Latencies from which on there is no such state.
inline constexpr std::uint16_t kNoC2 = 101, kNoC3 = 1001;

/// 5.2.10
struct [[gnu::packed]] Facs {
  Text4 signature;                    // 0
  std::uint32_t length;               // 4
  std::uint32_t hardware_signature;   // 8
  std::uint32_t waking_vector;        // 12
  std::uint32_t global_lock;          // 16
  std::uint32_t flags;                // 20
  std::uint64_t x_waking_vector;      // 24
  std::uint8_t version;               // 32
  std::array<std::uint8_t, 31> zero;  // 33
};
static_assert(sizeof(Facs) == 64);

/// 5.2.12
struct [[gnu::packed]] Madt {
  Header header;                     // 0
  std::uint32_t local_apic_address;  // 36
  std::uint32_t flags;               // 40, 1: there are two 8259 as well
};
static_assert(sizeof(Madt) == 44);

struct [[gnu::packed]] MadtLocalApic {
  std::uint8_t type = 0, length = 8;
  std::uint8_t processor_uid = 0;  // 2
  std::uint8_t apic_id = 0;        // 3
  std::uint32_t flags = 1;         // 4, enabled
};
static_assert(sizeof(MadtLocalApic) == 8);

struct [[gnu::packed]] MadtIoApic {
  std::uint8_t type = 1, length = 12;
  std::uint8_t id = 0;          // 2
  std::uint8_t zero = 0;        // 3
  std::uint32_t address = 0;    // 4
  std::uint32_t first_gsi = 0;  // 8
};
static_assert(sizeof(MadtIoApic) == 12);

struct [[gnu::packed]] MadtOverride {
  std::uint8_t type = 2, length = 10;
  std::uint8_t bus = 0;     // 2, ISA
  std::uint8_t line = 0;    // 3
  std::uint32_t gsi = 0;    // 4
  std::uint16_t flags = 0;  // 8, 0: as usual on the bus
};
static_assert(sizeof(MadtOverride) == 10);
inline constexpr std::uint16_t kActiveHigh = 1 << 0, kLevelTriggered = 3 << 2;

struct [[gnu::packed]] MadtNmi {
  std::uint8_t type = 4, length = 6;
  std::uint8_t processor_uid = 0xff;  // 2, all
  std::uint16_t flags = 0;            // 3
  std::uint8_t local_line = 1;        // 5, LINT1
};
static_assert(sizeof(MadtNmi) == 6);

}  // namespace tintype::acpi
