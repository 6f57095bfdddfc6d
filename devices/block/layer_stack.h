// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "devices/block/raw_file.h"
#include "devices/block/redo_log.h"

namespace tintype {

/// The layers of a disk at one moment. A stack never changes: whoever pushes or drops a layer makes another
/// one and swaps the pointer, and requests in flight keep the one that they were planned with.
struct LayerStack {
  std::shared_ptr<RawFile> base;
  std::vector<std::shared_ptr<RedoLog>> logs;  ///< from the lowest to the active one
  std::size_t kept = 0;  ///< so many of the logs, from the lowest, stay: an undoable disk's, or a nonpersistent one's

  RedoLog* active() const noexcept { return logs.empty() ? nullptr : logs.back().get(); }
  RedoLog* lowest() const noexcept { return logs.empty() ? nullptr : logs.front().get(); }

  /// Nothing is to be committed.
  bool is_short() const noexcept { return logs.size() <= kept; }
  /// The log that is to be committed next, unless the stack is short.
  RedoLog& to_commit() const noexcept { return *logs[kept]; }
  /// What it goes into: a log that is kept, or null for the base.
  RedoLog* commits_into() const noexcept { return kept == 0 ? nullptr : logs[kept - 1].get(); }
};

/// A range of the disk, and the place in a layer where its newest contents lie.
struct Piece {
  SectorRange range;
  BlockFile* file = nullptr;  ///< null: they are zeros, and lie nowhere
  std::uint64_t offset = 0;   ///< bytes, in the file
};

/// Appends the pieces that make up `range`, in order: each sector from the highest layer that holds it.
void resolve(const LayerStack& stack, const SectorRange& range, std::vector<Piece>& into);

/// Contents from a sector on, in whole sectors, by plain pread. Nothing of it may change meanwhile. Throws
/// std::system_error.
void read_stack(const LayerStack& stack, std::uint64_t sector, std::span<std::byte> into);
/// The first range that ends after `sector` and may hold something other than zeros, or nothing.
std::optional<SectorRange> next_data(const LayerStack& stack, std::uint64_t sector);

/// Makes the base carry a mark that tells of the logs above it, or none where there are none. (Volatile ones are nobody
/// else's business.)
void mark_base(const LayerStack& stack);

std::shared_ptr<const LayerStack> with_log(const LayerStack& stack, std::shared_ptr<RedoLog> log);
/// Without the log that was to_commit().
std::shared_ptr<const LayerStack> without_committed(const LayerStack& stack);

}  // namespace tintype
