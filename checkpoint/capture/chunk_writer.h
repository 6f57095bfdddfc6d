// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "checkpoint/capture/chunks.h"
#include "checkpoint/capture/residency.h"
#include "checkpoint/image/part_writer.h"
#include "checkpoint/report.h"

namespace tintype {

/// Writes chunks of guest memory into a part, leaving out pages that were absent, and keeps count.
class ChunkWriter {
 public:
  /// One chunk as it lies in the part: kept, or taken back.
  using Written = std::vector<PartWriter::Appended>;

  ChunkWriter(PartWriter& part, const Residency& residency, std::uint64_t pages_total, const ProgressSink& progress);

  /// `contents` holds the chunk's bytes: guest memory itself, or a preserved copy.
  Written write(const Chunk& chunk, std::span<const std::byte> contents);
  void keep(const Written& written);
  /// What was written turned out to have changed meanwhile.
  void take_back(const Written& written);

  /// A few times a second at most.
  void tell_progress(std::uint64_t pages_done);
  /// Pages, bytes; the rest of the report is the strategy's.
  MemoryReport report() const;

 private:
  PartWriter& part_;
  const Residency& residency_;
  const ProgressSink& progress_;
  std::chrono::steady_clock::time_point last_told_{};
  MemoryReport report_;
};

}  // namespace tintype
