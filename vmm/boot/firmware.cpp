// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/firmware.h"

#include <array>

#include "vmm/base/error.h"
#include "vmm/boot/acpi.h"

namespace tintype {

namespace {

constexpr std::uint64_t kDummyHandler = 0xfff53;  // where PC BIOSes have theirs
constexpr std::byte kInterruptReturn{0xcf};

constexpr std::uint64_t kEbdaSegmentField = 0x40e;
constexpr std::uint64_t kMemorySizeField = 0x413;  // KiB of conventional memory

/// Segment in the upper half, offset in the lower.
constexpr std::uint32_t far_pointer(std::uint64_t address) {
  return static_cast<std::uint32_t>((kBiosArea.start >> 4) << 16 | (address - kBiosArea.start));
}

void must(bool stored) { check(stored, "the first mebibyte is memory"); }

}  // namespace

void place_firmware(GuestMemory& memory, const BootRequest& request, Placement& placement) {
  std::array<std::uint32_t, 256> vectors;
  vectors.fill(far_pointer(kDummyHandler));
  must(memory.store(Gpa(0), vectors));
  must(memory.store(Gpa(kEbdaSegmentField), static_cast<std::uint16_t>(kExtendedBiosArea.start >> 4)));
  must(memory.store(Gpa(kMemorySizeField), static_cast<std::uint16_t>(kConventionalEnd / 1024)));
  placement.reserve({kExtendedBiosArea, kAcpiArea, kBiosArea});
  placement.put(kExtendedBiosArea, std::array{std::byte{kExtendedBiosArea.size / 1024}});
  placement.put(kAcpiArea, acpi_tables(kAcpiArea.start, request));
  must(memory.store(Gpa(kDummyHandler), kInterruptReturn));
}

}  // namespace tintype
