// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "devices/virtio/chain.h"
#include "vmm/base/words.h"

namespace tintype {

/// The disk that requests are checked against.
struct BlkLimits {
  std::uint64_t capacity = 0;  ///< bytes
  bool read_only = false;
  std::uint32_t block_size = 512;  ///< bytes of a logical block: requests are whole ones
};

/// Data of one request at most, so that one request cannot keep the host busy for seconds. With SEG_MAX
/// segments of SIZE_MAX bytes a driver that keeps to what it was told stays below.
inline constexpr std::uint64_t kBlkMaxData = 64 << 20;

/// Sectors of one DISCARD or WRITE_ZEROES, likewise. Where the host has to write its zeros, that takes its time.
inline constexpr std::uint32_t kBlkMaxDiscard = (1 << 30) / 512;
inline constexpr std::uint32_t kBlkMaxWriteZeroes = (64 << 20) / 512;

enum class BlkAction : std::uint8_t {
  kRead,
  kWrite,
  kZero,  ///< DISCARD and WRITE_ZEROES: the sectors are zeros from now on
  kFlush,
  kGetId,
  kRefuse,  ///< answered with `refusal` at once
};

template <>
inline constexpr auto kWords<BlkAction> = std::to_array<Word<BlkAction>>({{BlkAction::kRead, "read"},
                                                                          {BlkAction::kWrite, "write"},
                                                                          {BlkAction::kZero, "zero"},
                                                                          {BlkAction::kFlush, "flush"},
                                                                          {BlkAction::kGetId, "get-id"},
                                                                          {BlkAction::kRefuse, "refused"}});

/// A block request as the driver meant it, checked: what lies in `data` is memory, and for reads and writes
/// the range lies inside the disk.
struct BlkCommand {
  BlkAction action = BlkAction::kRefuse;
  std::uint8_t refusal = 0;  ///< status of kRefuse
  std::uint64_t offset = 0;  ///< bytes from the start of the disk
  std::uint32_t length = 0;  ///< bytes of `data`, or of the disk for kZero
  bool may_unmap = false;    ///< of kZero
  std::vector<ChainBuffer> data;
  Gpa status;  ///< where the status byte goes
};

/// Reads a request (5.2.6) out of a chain into `command`, whose memory is used again. An error where the
/// driver left no room for the header or the status byte, so that there is no way to answer; everything else
/// that is wrong becomes a kRefuse.
[[nodiscard]] QueueError parse_blk_request(const DescriptorChain& chain, const BlkLimits& limits, BlkCommand& command);

}  // namespace tintype
