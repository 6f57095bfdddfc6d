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
  kAvailable,       ///< head
  kAvailableIndex,  ///< index
  kRequest,         ///< a block request that is nearly right
  kKick,
  kServe,
  kFinish,  ///< which, error
  kSaveRestore,
  kRestoreDamaged,  ///< field, value
  kPoke,            ///< address, 8 bytes
  kConfigChange,
  kCount,
};

inline constexpr std::uint64_t kVirtioHeaders = 0x40000;
inline constexpr std::uint64_t kVirtioTable = 0x50000;  ///< of indirect descriptors

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
};
inline constexpr std::uint32_t kVirtioLengths[] = {512, 512, 512, 1024,  4096,      1,          0,         16,
                                                   20,  511, 513, 65536, 0x1000000, 0x7fffffff, 0xffffffff};
inline constexpr std::uint32_t kVirtioRequests[] = {0, 0, 0, 1, 1, 4, 8, 8, 2, 11, 0x80000000};
inline constexpr std::uint64_t kVirtioSectors[] = {0, 1, 8, 100, 511, 512, 513, 1ULL << 55, ~0ULL};
inline constexpr std::uint32_t kVirtioFeatures[] = {0x30000246, 0x30000246, 0x20000200, 0x10000200,
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
