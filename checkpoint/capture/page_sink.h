// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "checkpoint/format/block_sink.h"

namespace tintype {

/// Takes the pages that a capture gets out of a machine, in any order. What is never put was zero, or is as the parent
/// checkpoint has it.
class PageSink {
 public:
  /// Whole pages that lie one after the other.
  struct Run {
    std::uint64_t first_page = 0;
    std::span<const std::byte> bytes;
  };
  /// What one put() writes, for drop(). Null where that was nothing. Whoever writes fills it in, when he does.
  using Ticket = std::shared_ptr<std::vector<BlockSink::Appended>>;

  virtual ~PageSink() = default;
  /// So many pages will be dealt with, as far as is known now.
  virtual void expect(std::uint64_t pages) = 0;
  /// Begins to write, and may wait for room; throws where the destination fails (an earlier put too), or the checkpoint
  /// is cancelled. The bytes must hold still until the last copy of `owner` goes, on whatever thread: they are read
  /// more than once (for their checksum, and to be written), so they are never guest memory itself, which the host's
  /// reads in flight change even while the machine is paused. A page that was put must be dropped before it is put
  /// again.
  virtual Ticket put(std::vector<Run> runs, std::shared_ptr<const void> owner) = 0;
  /// What was put is not of the instant after all.
  virtual void drop(const Ticket& ticket) = 0;
  /// So many pages are dealt with.
  virtual void done(std::uint64_t pages) = 0;
};

}  // namespace tintype
