// SPDX-License-Identifier: Apache-2.0
#include "devices/block/layer_stack.h"

#include "devices/block/backend.h"

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
    const SectorRange held = intersection(extent->range, range);
    into.push_back({held, &log, extent->position * kSectorSize});
    range.start = held.end;
  }
}

}  // namespace

void resolve(const LayerStack& stack, const SectorRange& range, std::vector<Piece>& into) {
  if (!range.empty()) resolve_below(stack, stack.logs.size(), range, into);
}

void mark_base(const LayerStack& stack) {
  if (stack.logs.empty()) return stack.base->clear_mark();
  const RedoLog& newest = *stack.active();
  stack.base->set_mark(
      {newest.superblock().image_mark, stack.lowest()->sequence(), newest.sequence(), newest.path().parent_path()});
}

std::shared_ptr<const LayerStack> with_log(const LayerStack& stack, std::shared_ptr<RedoLog> log) {
  auto changed = std::make_shared<LayerStack>(stack);
  changed->logs.push_back(std::move(log));
  return changed;
}

std::shared_ptr<const LayerStack> without_lowest(const LayerStack& stack) {
  auto changed = std::make_shared<LayerStack>(stack);
  changed->logs.erase(changed->logs.begin());
  return changed;
}

}  // namespace tintype
