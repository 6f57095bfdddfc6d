// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/firmware.h"

#include <algorithm>
#include <array>

#include "vmm/base/error.h"
#include "vmm/boot/acpi.h"
#include "vmm/boot/firmware_code.h"
#include "vmm/boot/generation_id.h"
#include "vmm/boot/task_state.h"

namespace tintype {

namespace {

// The first two are where PC BIOSes have theirs.
constexpr std::uint64_t kTickHandler = 0xffea5, kDummyHandler = 0xfff53;
constexpr std::uint64_t kMasterHandler = 0xfff60, kSlaveHandler = 0xfff70;

constexpr std::size_t kMasterVectors = 0x08, kSlaveVectors = 0x70, kPicLines = 8;

constexpr std::uint64_t kEbdaSegmentField = 0x40e;
constexpr std::uint64_t kMemorySizeField = 0x413;  // KiB of conventional memory

/// Segment in the upper half, offset in the lower.
constexpr std::uint32_t far_pointer(std::uint64_t address) {
  return static_cast<std::uint32_t>((kBiosArea.start >> 4) << 16 | (address - kBiosArea.start));
}

std::array<std::uint32_t, 256> real_mode_vectors() {
  std::array<std::uint32_t, 256> vectors;
  vectors.fill(far_pointer(kDummyHandler));
  std::fill_n(&vectors[kMasterVectors], kPicLines, far_pointer(kMasterHandler));
  std::fill_n(&vectors[kSlaveVectors], kPicLines, far_pointer(kSlaveHandler));
  vectors[kMasterVectors] = far_pointer(kTickHandler);
  return vectors;
}

void must(bool stored) { check(stored, "the first mebibyte is memory"); }

}  // namespace

void place_firmware(GuestMemory& memory, const BootRequest& request, Placement& placement) {
  must(memory.store(Gpa(0), real_mode_vectors()));
  must(memory.store(Gpa(kEbdaSegmentField), static_cast<std::uint16_t>(kExtendedBiosArea.start >> 4)));
  must(memory.store(Gpa(kMemorySizeField), static_cast<std::uint16_t>(kConventionalEnd / 1024)));
  placement.reserve({kExtendedBiosArea, kAcpiArea, kTaskStateArea, kGenerationArea});
  placement.put(kExtendedBiosArea, std::array{std::byte{kExtendedBiosArea.size / 1024}});
  placement.put(kAcpiArea, acpi_tables(kAcpiArea.start, request));
  placement.put(kTaskStateArea, permissive_task_state());
  place_generation(memory);
  must(memory.store(Gpa(kTickHandler), kCountTick));
  must(memory.store(Gpa(kDummyHandler), kInterruptReturn));
  must(memory.store(Gpa(kMasterHandler), kEndMasterInterrupt));
  must(memory.store(Gpa(kSlaveHandler), kEndSlaveInterrupt));
}

}  // namespace tintype
