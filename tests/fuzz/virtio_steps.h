// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the inputs of virtio_fuzz are made of: shared by the fuzzer, which takes inputs apart, and by the
// generator, which makes them.

#include <cstdint>

#include "devices/virtio/spec.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

enum class VirtioStep : std::uint8_t {
  kWriteRegister,   ///< register, value, width
  kReadRegister,    ///< register, width
  kStartDriver,     ///< features, size, rings: the whole initialization, honest
  kDescriptor,      ///< index, address, length, flags, next, table
  kLongChain,       ///< first, count, address, length, flags: the same buffer again and again
  kAvailable,       ///< head
  kAvailableIndex,  ///< index
  kRequest,         ///< a block request that is nearly right
  kKick,
  kServe,
  kFinish,  ///< which, error
  kPoke,    ///< address, 8 bytes
  kConfigChange,
  kSave,  ///< what is saved must be accepted
  kSaveRestore,
  kRestoreDamaged,  ///< field, value
  kCount,
};

/// Steps that save cost as much as fifty others, so few bytes mean one, and none that mutators like.
inline constexpr unsigned kFirstSavingByte = 0xb5, kFirstSavingStep = static_cast<unsigned>(VirtioStep::kSave);
constexpr VirtioStep virtio_step(std::uint8_t byte) {
  constexpr unsigned kSavingSteps = static_cast<unsigned>(VirtioStep::kCount) - kFirstSavingStep;
  const bool saves = byte >= kFirstSavingByte && byte < kFirstSavingByte + kSavingSteps;
  return static_cast<VirtioStep>(saves ? kFirstSavingStep + (byte - kFirstSavingByte) : byte % kFirstSavingStep);
}
constexpr std::uint8_t virtio_step_byte(VirtioStep step) {
  const auto number = static_cast<unsigned>(step);
  return static_cast<std::uint8_t>(number < kFirstSavingStep ? number : number - kFirstSavingStep + kFirstSavingByte);
}
static_assert(virtio_step(virtio_step_byte(VirtioStep::kRestoreDamaged)) == VirtioStep::kRestoreDamaged);
static_assert(virtio_step(virtio_step_byte(VirtioStep::kConfigChange)) == VirtioStep::kConfigChange);

inline constexpr std::uint64_t kVirtioDiskSectors = 128;  ///< few, since each input begins with a disk filled anew

inline constexpr std::uint64_t kVirtioHeaders = 0x40000;
inline constexpr std::uint64_t kVirtioTable = 0x50000;  ///< of indirect descriptors

/// Memory of most inputs: small, so that its dirty pages are soon found. Some get a machine's, with the hole in it.
inline constexpr std::uint64_t kVirtioSmallMemory = 16 << 20;
inline constexpr std::uint64_t kVirtioLargeMemory = kHoleStart + (4 << 20);

/// Where a driver puts its rings: in the middle, at the edges of memory, and where there is none.
inline constexpr std::uint64_t kVirtioRings[] = {
    0x10000,
    0x10000,
    0x20000,
    kHoleStart - 0x3000,
    kHoleEnd,
    kHoleEnd + 0x10000,
    kHoleEnd + (4 << 20) - 0x3000,
    kHoleStart - 0x1000,
    kHoleEnd + (4 << 20) - 0x2800,
    kHoleEnd + (4 << 20),
    ~0ULL - 0xfff,
    0x10008,
    kVirtioSmallMemory - 0x3000,
    kVirtioSmallMemory - 0x2800,
};
inline constexpr std::uint64_t kVirtioAddresses[] = {
    0x60000,
    0x60000,
    0x61000,
    0x7fff0,
    kHoleStart - 0x1000,
    kHoleStart - 0x10,
    kHoleEnd,
    kHoleEnd + (4 << 20) - 0x1000,
    kHoleEnd + (4 << 20) - 1,
    ~0ULL - 0xfff,
    0,
    kVirtioTable,
    0x10000,
    0x11000,
    0x12000,
    kVirtioSmallMemory - 0x1000,
    kVirtioSmallMemory - 0x10,
    kVirtioSmallMemory,
};
inline constexpr std::uint32_t kVirtioLengths[] = {512, 512, 512, 1024,  4096,      1,          0,         16,
                                                   20,  511, 513, 65536, 0x1000000, 0x7fffffff, 0xffffffff};
inline constexpr std::uint32_t kVirtioRequests[] = {0, 0, 0, 1, 1, 4, 8, 8, 2, 11, 13, 0x80000000};
inline constexpr std::uint64_t kVirtioSectors[] = {
    0, 1, 8, 100, kVirtioDiskSectors - 1, kVirtioDiskSectors, kVirtioDiskSectors + 1, 1ULL << 55, ~0ULL};
inline constexpr std::uint32_t kVirtioFeatures[] = {0x30006e46, 0x30000246, 0x20000200, 0x10000200,
                                                    0x200,      0,          0xffffffff};
inline constexpr std::uint64_t kVirtioRegisters[] = {
    0x070, 0x070, 0x014, 0x020, 0x024, 0x030, 0x038, 0x044, 0x044, 0x050, 0x060, 0x064, 0x080, 0x084,
    0x090, 0x094, 0x0a0, 0x0a4, 0x0b0, 0x0bc, 0x0c0, 0x0fc, 0x100, 0x108, 0x120, 0x144, 0x148, 0xffc,
};
inline constexpr std::uint32_t kVirtioValues[] = {0,   1,   2,   3,      7,       11,         15,        64,
                                                  128, 256, 512, 0xffff, 0x10000, 0xffffffff, 0x80000000};
inline constexpr std::uint64_t kVirtioStateNumbers[] = {0,  1,   2,      3,       7,       15,         16,   64,
                                                        79, 256, 0xffff, 0x10000, 0x11000, 1ULL << 32, ~0ULL};

}  // namespace tintype
