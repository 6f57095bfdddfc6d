// SPDX-License-Identifier: Apache-2.0
#include "devices/block/layer_stack.h"

#include <algorithm>

#include "devices/block/backend.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

/// `depth` counts the logs that are still to be asked.
void resolve_below(const LayerStack& stack, std::size_t depth, SectorRange range, std::vector<Piece>& into) {
  if (depth == 0) {
    into.push_back({range, stack.base.get(), range.start * kSectorSize});
    return;
  }
  RedoLog& log = *stack.logs[depth - 1];
  while (!range.empty()) {
    const auto extent = log.index().at_or_after(range.start);
    if (!extent || extent->range.start >= range.end) return resolve_below(stack, depth - 1, range, into);
    if (extent->range.start > range.start) resolve_below(stack, depth - 1, {range.start, extent->range.start}, into);
    const ExtentIndex::Extent held = extent->cut_to(range);
    if (held.zeros) {
      into.push_back({held.range, nullptr, 0});
    } else {
      into.push_back({held.range, &log, held.position * kSectorSize});
    }
    range.start = held.range.end;
  }
}

std::optional<ExtentIndex::Extent> next_data(const ExtentIndex& index, std::uint64_t sector) {
  auto extent = index.at_or_after(sector);
  while (extent && extent->zeros) extent = index.at_or_after(extent->range.end);
  return extent;
}

}  // namespace

void resolve(const LayerStack& stack, const SectorRange& range, std::vector<Piece>& into) {
  if (!range.empty()) resolve_below(stack, stack.logs.size(), range, into);
}

void read_stack(const LayerStack& stack, std::uint64_t sector, std::span<std::byte> into) {
  std::vector<Piece> pieces;
  resolve(stack, {sector, sector + into.size() / kSectorSize}, pieces);
  for (const Piece& piece : pieces) {
    const std::uint64_t length = piece.range.count() * kSectorSize;
    if (piece.file == nullptr) {
      std::fill_n(into.begin(), length, std::byte{0});
    } else {
      if (piece.file == stack.base.get()) stack.base->bring(piece.offset, length);
      read_exactly(piece.file->fd(), into.first(length), piece.offset, piece.file->path().string());
    }
    into = into.subspan(length);
  }
}

std::optional<SectorRange> next_data(const LayerStack& stack, std::uint64_t sector) {
  std::optional<SectorRange> first;
  if (const auto data = stack.base->next_data(sector * kSectorSize))
    first = {data->offset / kSectorSize, (data->offset + data->length) / kSectorSize};
  for (const auto& log : stack.logs) {
    const auto extent = next_data(log->index(), sector);
    if (!extent) continue;
    const SectorRange& held = extent->range;
    if (!first || held.start < first->start || (held.start == first->start && held.end > first->end)) first = held;
  }
  return first;
}

void mark_base(const LayerStack& stack) {
  if (stack.logs.empty()) return stack.base->clear_mark();
  const RedoLog& newest = *stack.active();
  if (newest.is_volatile()) return;
  stack.base->set_mark(
      {newest.superblock().image_mark, stack.lowest()->sequence(), newest.sequence(), newest.path().parent_path()});
}

std::shared_ptr<const LayerStack> with_log(const LayerStack& stack, std::shared_ptr<RedoLog> log) {
  auto changed = std::make_shared<LayerStack>(stack);
  changed->logs.push_back(std::move(log));
  return changed;
}

std::shared_ptr<const LayerStack> without_committed(const LayerStack& stack) {
  auto changed = std::make_shared<LayerStack>(stack);
  changed->logs.erase(changed->logs.begin() + static_cast<std::ptrdiff_t>(stack.kept));
  return changed;
}

}  // namespace tintype
