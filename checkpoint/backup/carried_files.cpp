// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/carried_files.h"

#include <fcntl.h>

#include <algorithm>

#include "checkpoint/store/chain.h"
#include "checkpoint/store/repository_names.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

CarriedCheckpoint open_link(const ChainLink& link) {
  check_files(link);
  CarriedCheckpoint carried;
  carried.manifest = *link.manifest;
  carried.base = repository_names::id_after(repository_names::kBase, link.directory.filename().string()).has_value();
  for (const PartDescription& part : link.manifest->parts)
    carried.files.push_back({part.file, open_file(link.directory / part.file, O_RDONLY), part.summary.file_bytes});
  return carried;
}

}  // namespace

std::uint64_t CarriedCheckpoint::bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const CarriedFile& file : files) bytes += file.bytes;
  return bytes;
}

std::vector<CarriedCheckpoint> open_to_carry(const Repository& repository, std::uint64_t id,
                                             std::optional<std::uint64_t> after) {
  return read_in_motion(repository, [&] {
    std::vector<CarriedCheckpoint> carried;
    bool met = false;
    for (const ChainLink& link : read_chain(repository, id)) {
      if (after && link.manifest->id == *after) {
        met = true;
        break;
      }
      carried.push_back(open_link(link));
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
