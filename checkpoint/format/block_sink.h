// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "checkpoint/format/part_format.h"

namespace tintype {

/// Takes the blocks (4 KiB each) of one part of a checkpoint, in any order, each at most once, unless what came before
/// was dropped. Several threads may append at the same time; nobody does while another method runs.
class BlockSink {
 public:
  /// Names what one call has written. Valid until finish().
  struct Ticket {
    std::size_t first_extent = 0, extents = 0;
  };

  struct Appended {
    std::uint64_t written_blocks = 0, zero_blocks = 0, stored_bytes = 0;
    Ticket ticket;
  };

  virtual ~BlockSink() = default;

  /// True: blocks that never come are the parent's. False: they are zero.
  virtual bool incremental() const noexcept = 0;

  /// `data` is whole blocks, or ends where the part's content ends. Zero blocks cost no bytes. Throws DestinationFull,
  /// or tintype::Error for other failures; afterwards only giving up makes sense. So do the others.
  virtual Appended append(std::uint64_t first_block, std::span<const std::byte> data) = 0;
  /// So many blocks that are zero: what is known to be so need not be handed over.
  virtual Appended append_zeros(std::uint64_t first_block, std::uint64_t blocks) = 0;
  /// Takes back all that one call has written, as though it had never come, zeros too. The blocks may come again. Once
  /// for each ticket.
  virtual void drop(const Ticket& ticket) = 0;

  /// No more blocks come. Room that was set aside for more is given back: what is written next may need it.
  virtual void finish() = 0;
};

}  // namespace tintype
