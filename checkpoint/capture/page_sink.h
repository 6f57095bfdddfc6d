// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace tintype {

/// Takes the pages that a capture gets out of a machine, in any order, each at most once. What is never put was zero.
class PageSink {
 public:
  /// Whole pages that lie one after the other.
  struct Run {
    std::uint64_t first_page = 0;
    std::span<const std::byte> bytes;
  };

  virtual ~PageSink() = default;
  /// May wait for the destination; throws where that fails, or the checkpoint is cancelled. The bytes must hold still:
  /// they are read more than once (for their checksum, and to be written), so they are never guest memory itself, which
  /// the host's reads in flight change even while the machine is paused. `owner` keeps them alive where the sink is
  /// given up in the middle.
  virtual void put(std::vector<Run> runs, std::shared_ptr<const void> owner) = 0;
  /// So many pages of guest memory are dealt with.
  virtual void done(std::uint64_t pages) = 0;
};

}  // namespace tintype
