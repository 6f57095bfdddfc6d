// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "checkpoint/format/block_sink.h"
#include "checkpoint/format/extent_cutter.h"
#include "checkpoint/format/part_format.h"
#include "checkpoint/format/part_output.h"

namespace tintype {

struct PartOptions {
  PartKind kind = PartKind::kMemory;
  std::uint64_t content_bytes = 0;  ///< of the memory or disk, a multiple of 512
  Compression compression = Compression::kNone;
  bool incremental = false;  ///< blocks that never come are the parent's
};

/// Writes one part of a checkpoint.
///
/// Data goes from the caller's memory straight into the file: the zero test, the checksum and the write are the only
/// passes over it. So it must hold still. Appending threads meet only to take their places in the file.
class PartWriter final : public BlockSink {
 public:
  /// Creates the file, which must not exist. Throws tintype::Error.
  PartWriter(const std::filesystem::path& path, const PartOptions& options);
  PartWriter(std::shared_ptr<PartOutput> output, const PartOptions& options);
  ~PartWriter() override;
  PartWriter(const PartWriter&) = delete;
  PartWriter& operator=(const PartWriter&) = delete;

  bool incremental() const noexcept override { return options_.incremental; }
  Appended append(std::uint64_t first_block, std::span<const std::byte> data) override;
  Appended append_zeros(std::uint64_t first_block, std::uint64_t blocks) override;
  void drop(const Ticket& ticket) override;

  /// An extent of another part as it is: `stored` are its bytes, compressed or not, and hold still.
  void append_stored(const Extent& extent, std::span<const std::byte> stored);

  /// Writes index and footer and cuts the file to length. Throws ImageError where a block was appended twice.
  void finish() override;
  bool finished() const noexcept { return finished_; }

  /// Of the data, the long half of sync(), in two: of several parts all begin before the first is waited for. After
  /// finish().
  void start_writeback() noexcept { file_->start_writeback(); }
  void finish_writeback() { file_->finish_writeback(); }
  /// fsync. After finish().
  void sync();

  /// After finish().
  const PartSummary& summary() const noexcept { return summary_; }

  /// Bytes of data in the file so far.
  std::uint64_t stored_bytes() const;

 private:
  struct Range {
    std::uint64_t offset = 0, bytes = 0;
  };
  class CutterLease;
  void check_place(std::uint64_t first_block, std::uint64_t blocks) const;
  Ticket store(ExtentCutter& cut);
  std::uint64_t take_places(ExtentCutter& cut, Ticket& ticket);
  void erase_given_up();
  void sort_extents();
  void join_zeros();
  void write_index();

  const PartOptions options_;
  const std::uint64_t blocks_;
  const std::shared_ptr<PartOutput> file_;
  mutable std::mutex mutex_;                            // guards the rest against threads that append
  std::vector<std::unique_ptr<ExtentCutter>> cutters_;  ///< those nobody uses
  std::vector<Extent> extents_;  ///< in the order of places, until finish() sorts them; 0 blocks: dropped
  std::vector<Range> given_up_;  ///< data of the file that belongs to no extent any more and is still to be erased
  std::uint64_t given_up_bytes_ = 0;
  std::uint64_t position_;  ///< where the next extent goes
  std::uint64_t stored_bytes_ = 0, stored_blocks_ = 0;
  std::size_t unwritten_ = 0;  ///< appends that have their place, and whose bytes are not there (yet)
  bool finished_ = false;
  PartSummary summary_;
};

}  // namespace tintype
