// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/chunk_writer.h"

namespace tintype {

namespace {
constexpr auto kProgressInterval = std::chrono::milliseconds(100);
}  // namespace

ChunkWriter::ChunkWriter(PartWriter& part, const Residency& residency, std::uint64_t pages_total,
                         const ProgressSink& progress)
    : part_(part), residency_(residency), progress_(progress) {
  report_.pages_total = pages_total;
}

ChunkWriter::Written ChunkWriter::write(const Chunk& chunk, std::span<const std::byte> contents) {
  Written written;
  residency_.for_each_run(chunk.first_page, chunk.pages, [&](std::uint64_t page, std::uint64_t count) {
    const std::uint64_t offset = (page - chunk.first_page) * kPageSize;
    written.push_back(part_.append(page, contents.subspan(offset, count * kPageSize)));
  });
  return written;
}

void ChunkWriter::keep(const Written& written) {
  for (const PartWriter::Appended& run : written) {
    report_.pages_written += run.written_blocks;
    report_.bytes_written += run.stored_bytes;
  }
}

void ChunkWriter::take_back(const Written& written) {
  for (const PartWriter::Appended& run : written) part_.discard(run);
}

void ChunkWriter::tell_progress(std::uint64_t pages_done) {
  const auto now = std::chrono::steady_clock::now();
  if (!progress_ || (now - last_told_ < kProgressInterval && pages_done != report_.pages_total)) return;
  last_told_ = now;
  progress_({"memory", pages_done * kPageSize, report_.pages_total * kPageSize});
}

MemoryReport ChunkWriter::report() const {
  MemoryReport report = report_;
  report.pages_zero = report.pages_total - report.pages_written;  // absent, or present and zero
  return report;
}

}  // namespace tintype
