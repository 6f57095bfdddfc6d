// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "checkpoint/format/part_chain.h"
#include "checkpoint/format/part_output.h"
#include "checkpoint/format/part_writer.h"

namespace tintype {

/// Makes one part of several that build on each other. Extents of which all blocks count are taken over as they are
/// stored, compressed or not, with their checksums, which are checked; of the others what counts is written anew.
class PartMerge {
 public:
  using Tell = std::function<void(std::uint64_t done, std::uint64_t total)>;

  /// Newest first; all but the last are incremental. Where that one is too, so is what comes out. They must live
  /// longer.
  PartMerge(std::span<const std::unique_ptr<PartReader>> parts, std::shared_ptr<PartOutput> output);

  /// Writes all of it, until it lasts. `tell` is called after each extent, with bytes. Throws ImageError where data is
  /// damaged, and what PartWriter throws.
  PartSummary run(const Tell& tell);

 private:
  void put(const ResolvedRun& run);
  const PartReader& find(std::size_t number, const Extent*& extent) const;

  std::vector<const PartReader*> parts_;
  PartWriter writer_;
  std::vector<std::byte> buffer_;
  std::size_t held_;  ///< the number of the extent whose blocks are in the buffer
};

}  // namespace tintype
