// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "checkpoint/format/part_format.h"

namespace tintype {

/// Takes the blocks (4 KiB each) of one part of a checkpoint, in any order, each at most once.
class BlockSink {
 public:
  struct Appended {
    std::uint64_t written_blocks = 0, zero_blocks = 0, stored_bytes = 0;
  };

  virtual ~BlockSink() = default;
  /// `data` is whole blocks, or ends where the part's content ends. Zero blocks are left out. Throws DestinationFull,
  /// or tintype::Error for other failures; afterwards only giving up makes sense.
  virtual Appended append(std::uint64_t first_block, std::span<const std::byte> data) = 0;
  /// No more blocks come. Room that was set aside for more is given back: what is written next may need it.
  virtual void finish() = 0;
};

}  // namespace tintype
