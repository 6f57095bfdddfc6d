// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/carried_files.h"

#include <algorithm>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/store/chain.h"
#include "checkpoint/store/open_checkpoint.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

CarriedCheckpoint open_link(const ChainLink& link, bool base) {
  check_files(link);
  CarriedCheckpoint carried;
  carried.manifest = *link.manifest;
  carried.base = base;
  for (const PartDescription& part : link.manifest->parts)
    carried.files.push_back({part, link.folder->open(part.file)});
  return carried;
}

}  // namespace

void CarriedFile::pass(std::size_t most, const std::function<void(std::span<const std::byte>)>& take) {
  if (part.name == checkpoint_files::kStateName) {
    const std::vector<std::byte> bytes = read_state_file(*source, part);
    for (std::span<const std::byte> rest(bytes); !rest.empty(); rest = rest.subspan(std::min(rest.size(), most)))
      take(rest.first(std::min(rest.size(), most)));
    return;
  }
  const PartReader reader(std::move(source));
  check_part(reader, part, part.name == checkpoint_files::kMemoryName ? PartKind::kMemory : PartKind::kDisk);
  reader.pass(most, take);
}

std::uint64_t CarriedCheckpoint::bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const CarriedFile& file : files) bytes += file.part.summary.file_bytes;
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
