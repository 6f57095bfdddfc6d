// SPDX-License-Identifier: Apache-2.0
#pragma once

// What "Virtual I/O Device (VIRTIO) Version 1.2" fixes: numbers, registers and structures in guest memory.
// Section numbers are that document's. Everything is little-endian, and so is every computer that Tintype
// runs on.

#include <cstddef>
#include <cstdint>

namespace tintype::virtio {

// 5: Device Types
inline constexpr std::uint32_t kDeviceBlock = 2;
inline constexpr std::uint32_t kDeviceEntropy = 4;

// 2.1: Device Status Field
inline constexpr std::uint32_t kStatusAcknowledge = 1;
inline constexpr std::uint32_t kStatusDriver = 2;
inline constexpr std::uint32_t kStatusDriverOk = 4;
inline constexpr std::uint32_t kStatusFeaturesOk = 8;
inline constexpr std::uint32_t kStatusNeedsReset = 64;
inline constexpr std::uint32_t kStatusFailed = 128;
inline constexpr std::uint32_t kStatusKnown = 0xcf;

// 6: Reserved Feature Bits
inline constexpr std::uint64_t kFeatureIndirectDescriptors = 1ULL << 28;
inline constexpr std::uint64_t kFeatureEventIndex = 1ULL << 29;
inline constexpr std::uint64_t kFeatureVersion1 = 1ULL << 32;

// 4.2.2: MMIO Device Register Layout. Control registers are 32 bits wide.
inline constexpr std::uint64_t kMagicValue = 0x000;         // R   "virt"
inline constexpr std::uint64_t kVersion = 0x004;            // R   2
inline constexpr std::uint64_t kDeviceId = 0x008;           // R
inline constexpr std::uint64_t kVendorId = 0x00c;           // R
inline constexpr std::uint64_t kDeviceFeatures = 0x010;     // R   the 32 bits chosen by the selector
inline constexpr std::uint64_t kDeviceFeaturesSel = 0x014;  // W
inline constexpr std::uint64_t kDriverFeatures = 0x020;     // W
inline constexpr std::uint64_t kDriverFeaturesSel = 0x024;  // W
inline constexpr std::uint64_t kQueueSel = 0x030;           // W
inline constexpr std::uint64_t kQueueNumMax = 0x034;        // R   0: no such queue
inline constexpr std::uint64_t kQueueNum = 0x038;           // W
inline constexpr std::uint64_t kQueueReady = 0x044;         // RW
inline constexpr std::uint64_t kQueueNotify = 0x050;        // W   number of the queue
inline constexpr std::uint64_t kInterruptStatus = 0x060;    // R
inline constexpr std::uint64_t kInterruptAck = 0x064;       // W
inline constexpr std::uint64_t kStatus = 0x070;             // RW  0 resets
inline constexpr std::uint64_t kQueueDescLow = 0x080;       // W
inline constexpr std::uint64_t kQueueDescHigh = 0x084;      // W
inline constexpr std::uint64_t kQueueDriverLow = 0x090;     // W   the available ring
inline constexpr std::uint64_t kQueueDriverHigh = 0x094;    // W
inline constexpr std::uint64_t kQueueDeviceLow = 0x0a0;     // W   the used ring
inline constexpr std::uint64_t kQueueDeviceHigh = 0x0a4;    // W
inline constexpr std::uint64_t kSharedMemoryFirst = 0x0b0;  // R   length and base of a shared region:
inline constexpr std::uint64_t kSharedMemoryLast = 0x0bc;   //     all ones where there is none
inline constexpr std::uint64_t kConfigGeneration = 0x0fc;   // R
inline constexpr std::uint64_t kConfig = 0x100;             // RW  device-specific, any width

inline constexpr std::uint32_t kMagic = 0x74726976;  // "virt"
inline constexpr std::uint32_t kTransportVersion = 2;
inline constexpr std::uint32_t kVendor = 0x544e4954;  // "TINT"

// InterruptStatus and InterruptACK
inline constexpr std::uint32_t kInterruptUsedBuffer = 1;
inline constexpr std::uint32_t kInterruptConfigChange = 2;

// 2.7: Split Virtqueues
inline constexpr std::uint32_t kMaxQueueSize = 32768;

// 2.7.5: The Virtqueue Descriptor Table, aligned to 16
struct Descriptor {
  std::uint64_t address = 0;  // 0
  std::uint32_t length = 0;   // 8
  std::uint16_t flags = 0;    // 12
  std::uint16_t next = 0;     // 14
};
static_assert(sizeof(Descriptor) == 16 && offsetof(Descriptor, flags) == 12);
inline constexpr std::uint64_t kDescriptorAlignment = 16;
inline constexpr std::uint16_t kDescriptorNext = 1;
inline constexpr std::uint16_t kDescriptorWrite = 2;     // the device writes, the driver reads
inline constexpr std::uint16_t kDescriptorIndirect = 4;  // 2.7.5.3: the buffer is itself a table

// 2.7.6: The Virtqueue Available Ring, aligned to 2: flags, idx, ring[size], used_event
inline constexpr std::uint64_t kAvailableAlignment = 2;
inline constexpr std::uint64_t kAvailableFlags = 0;
inline constexpr std::uint64_t kAvailableIndex = 2;
inline constexpr std::uint64_t kAvailableRing = 4;
inline constexpr std::uint16_t kAvailableNoInterrupt = 1;
constexpr std::uint64_t available_element(std::uint32_t slot) { return kAvailableRing + 2ULL * slot; }
constexpr std::uint64_t used_event_offset(std::uint32_t size) { return available_element(size); }
constexpr std::uint64_t available_bytes(std::uint32_t size) { return used_event_offset(size) + 2; }

// 2.7.8: The Virtqueue Used Ring, aligned to 4: flags, idx, ring[size], avail_event
struct UsedElement {
  std::uint32_t id = 0;      // 0  head of the chain
  std::uint32_t length = 0;  // 4  bytes written into it
};
static_assert(sizeof(UsedElement) == 8);
inline constexpr std::uint64_t kUsedAlignment = 4;
inline constexpr std::uint64_t kUsedFlags = 0;
inline constexpr std::uint64_t kUsedIndex = 2;
inline constexpr std::uint64_t kUsedRing = 4;
inline constexpr std::uint16_t kUsedNoNotify = 1;
constexpr std::uint64_t used_element(std::uint32_t slot) { return kUsedRing + 8ULL * slot; }
constexpr std::uint64_t available_event_offset(std::uint32_t size) { return used_element(size); }
constexpr std::uint64_t used_bytes(std::uint32_t size) { return available_event_offset(size) + 2; }

/// 2.7.10: whether moving an index from `before` to `now` passes the event that the other side waits for.
constexpr bool passes_event(std::uint16_t event, std::uint16_t now, std::uint16_t before) {
  return static_cast<std::uint16_t>(now - event - 1) < static_cast<std::uint16_t>(now - before);
}

// 5.2.3: Block Device feature bits
inline constexpr std::uint64_t kBlkSizeMax = 1ULL << 1;
inline constexpr std::uint64_t kBlkSegMax = 1ULL << 2;
inline constexpr std::uint64_t kBlkReadOnly = 1ULL << 5;
inline constexpr std::uint64_t kBlkBlockSize = 1ULL << 6;
inline constexpr std::uint64_t kBlkFlush = 1ULL << 9;
inline constexpr std::uint64_t kBlkTopologyBit = 1ULL << 10;
inline constexpr std::uint64_t kBlkConfigWriteback = 1ULL << 11;
inline constexpr std::uint64_t kBlkMultiQueue = 1ULL << 12;
inline constexpr std::uint64_t kBlkDiscardBit = 1ULL << 13;
inline constexpr std::uint64_t kBlkWriteZeroesBit = 1ULL << 14;

// 5.2.4: Block Device configuration layout
struct BlkConfig {
  std::uint64_t capacity = 0;                  // 0   in sectors of 512
  std::uint32_t size_max = 0;                  // 8
  std::uint32_t seg_max = 0;                   // 12
  std::uint8_t geometry[4] = {};               // 16
  std::uint32_t blk_size = 0;                  // 20  bytes of a logical block
  std::uint8_t physical_block_exp = 0;         // 24  log2 of logical blocks per physical one
  std::uint8_t alignment_offset = 0;           // 25
  std::uint16_t min_io_size = 0;               // 26  logical blocks, as is the next
  std::uint32_t opt_io_size = 0;               // 28
  std::uint8_t writeback = 0;                  // 32  RW
  std::uint8_t unused0 = 0;                    // 33
  std::uint16_t num_queues = 0;                // 34
  std::uint32_t max_discard_sectors = 0;       // 36
  std::uint32_t max_discard_seg = 0;           // 40
  std::uint32_t discard_sector_alignment = 0;  // 44
  std::uint32_t max_write_zeroes_sectors = 0;  // 48
  std::uint32_t max_write_zeroes_seg = 0;      // 52
  std::uint8_t write_zeroes_may_unmap = 0;     // 56
  std::uint8_t unused1[3] = {};                // 57
  std::uint8_t secure_erase[12] = {};          // 60
};
static_assert(sizeof(BlkConfig) == 72 && offsetof(BlkConfig, blk_size) == 20 && offsetof(BlkConfig, writeback) == 32 &&
              offsetof(BlkConfig, num_queues) == 34 && offsetof(BlkConfig, write_zeroes_may_unmap) == 56);

// 5.2.6: Block Device operation. A request is this header, data, and a status byte that the device writes.
struct BlkHeader {
  std::uint32_t type = 0;      // 0
  std::uint32_t reserved = 0;  // 4
  std::uint64_t sector = 0;    // 8
};
static_assert(sizeof(BlkHeader) == 16 && offsetof(BlkHeader, sector) == 8);
inline constexpr std::uint32_t kBlkIn = 0;
inline constexpr std::uint32_t kBlkOut = 1;
inline constexpr std::uint32_t kBlkFlushRequest = 4;
inline constexpr std::uint32_t kBlkGetId = 8;
inline constexpr std::uint32_t kBlkDiscard = 11;
inline constexpr std::uint32_t kBlkWriteZeroes = 13;
inline constexpr std::uint8_t kBlkOk = 0;
inline constexpr std::uint8_t kBlkIoError = 1;
inline constexpr std::uint8_t kBlkUnsupported = 2;
inline constexpr std::size_t kBlkIdBytes = 20;

/// The data of a kBlkDiscard or a kBlkWriteZeroes.
struct BlkZeroSegment {
  std::uint64_t sector = 0;       // 0
  std::uint32_t num_sectors = 0;  // 8
  std::uint32_t flags = 0;        // 12
};
static_assert(sizeof(BlkZeroSegment) == 16);
inline constexpr std::uint32_t kBlkUnmap = 1;  // of a kBlkWriteZeroes: the room may go

}  // namespace tintype::virtio
