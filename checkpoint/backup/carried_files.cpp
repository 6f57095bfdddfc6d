// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/carried_files.h"

#include <algorithm>

#include "checkpoint/store/chain.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

CarriedCheckpoint open_link(const ChainLink& link, bool base) {
  check_files(link);
  CarriedCheckpoint carried;
  carried.manifest = *link.manifest;
  carried.base = base;
  for (const PartDescription& part : link.manifest->parts)
    carried.files.push_back({part.file, link.folder->open(part.file), part.summary.file_bytes});
  return carried;
}

}  // namespace

std::uint64_t CarriedCheckpoint::bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const CarriedFile& file : files) bytes += file.bytes;
  return bytes;
}

std::vector<CarriedCheckpoint> open_to_carry(const CheckpointStore& store, std::uint64_t id,
                                             std::optional<std::uint64_t> after) {
  return read_in_motion(store, [&] {
    const auto bases = store.bases();
    std::vector<CarriedCheckpoint> carried;
    bool met = false;
    for (const ChainLink& link : read_chain(store, id, [&](const ChainLink& each) { return each.id() != after; })) {
      if (after && link.manifest->id == *after) {
        met = true;
        break;
      }
      carried.push_back(open_link(link, std::ranges::binary_search(bases, link.id())));
    }
    if (after && !met)
      throw Error(
          "checkpoint {} does not build on checkpoint {}: send it without --from, or from one that it builds on", id,
          *after);
    std::ranges::reverse(carried);
    return carried;
  });
}

}  // namespace tintype
