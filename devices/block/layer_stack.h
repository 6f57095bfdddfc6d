// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "devices/block/raw_file.h"
#include "devices/block/redo_log.h"

namespace tintype {

/// The layers of a disk at one moment. A stack never changes: whoever pushes or drops a layer makes another
/// one and swaps the pointer, and requests in flight keep the one that they were planned with.
struct LayerStack {
  std::shared_ptr<RawFile> base;
  std::vector<std::shared_ptr<RedoLog>> logs;  ///< from the lowest to the active one

  RedoLog* active() const noexcept { return logs.empty() ? nullptr : logs.back().get(); }
  RedoLog* lowest() const noexcept { return logs.empty() ? nullptr : logs.front().get(); }
};

/// A range of the disk, and the place in a layer where its newest contents lie.
struct Piece {
  SectorRange range;
  BlockFile* file = nullptr;
  std::uint64_t offset = 0;  ///< bytes, in the file
};

/// Appends the pieces that make up `range`, in order: each sector from the highest layer that holds it.
void resolve(const LayerStack& stack, const SectorRange& range, std::vector<Piece>& into);

/// Makes the base carry a mark that tells of the logs above it, or none where there are none.
void mark_base(const LayerStack& stack);

std::shared_ptr<const LayerStack> with_log(const LayerStack& stack, std::shared_ptr<RedoLog> log);
std::shared_ptr<const LayerStack> without_lowest(const LayerStack& stack);

}  // namespace tintype
