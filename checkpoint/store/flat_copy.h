// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "checkpoint/format/block_source.h"
#include "checkpoint/store/sparse_file.h"
#include "vmm/base/progress.h"

namespace tintype {

/// Blocks of a part that lie one after the other in a flat file too, from `offset` on.
struct FlatPlacement {
  std::uint64_t first_block = 0, end_block = 0, offset = 0;
};

/// All of a disk, from the beginning of the file.
FlatPlacement whole_part(const BlockSource& part);

/// Writes the data of a source to its places in a flat file, up to where the file ends; what is zero stays a hole.
/// Every checksum is checked. Returns the bytes written. Throws ImageError, DestinationFull, Error.
std::uint64_t copy_flat(const BlockSource& source, std::span<const FlatPlacement> layout, FlatFile& file,
                        const ProgressSink& progress);

}  // namespace tintype
