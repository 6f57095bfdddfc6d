// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "checkpoint/format/block_sink.h"
#include "checkpoint/format/part_format.h"
#include "vmm/base/unique_fd.h"

struct iovec;

namespace tintype {

class Compressor;

struct PartOptions {
  PartKind kind = PartKind::kMemory;
  std::uint64_t content_bytes = 0;  ///< of the memory or disk, a multiple of 512
  Compression compression = Compression::kNone;
  bool incremental = false;  ///< blocks that never come are the parent's
};

/// Writes one part of a checkpoint. One thread at a time uses it; it is the thread that waits for the destination.
///
/// Data goes from the caller's memory straight into the file: the zero test, the checksum and the write are the only
/// passes over it. So it must hold still.
class PartWriter final : public BlockSink {
 public:
  /// Creates the file, which must not exist. Throws tintype::Error.
  PartWriter(const std::filesystem::path& path, const PartOptions& options);
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

  /// fsync; writing back has begun long before, so it is short. After finish().
  void sync();

  /// After finish().
  const PartSummary& summary() const noexcept { return summary_; }

  /// Bytes of data in the file so far.
  std::uint64_t stored_bytes() const noexcept { return stored_bytes_; }

 private:
  struct Range {
    std::uint64_t offset = 0, bytes = 0;
  };
  void check_place(std::uint64_t first_block, std::uint64_t blocks) const;
  void append_blocks(std::uint64_t first_block, std::span<const std::byte> data);
  void append_data(std::uint64_t first_block, std::span<const std::byte> run);
  void append_raw(std::uint64_t first_block, std::span<const std::byte> run);
  void append_compressed(std::uint64_t first_block, std::span<const std::byte> run);
  void add_extent(std::uint64_t first_block, std::span<const std::byte> run, Compression codec,
                  std::span<const std::byte> stored);
  void add_zeros(std::uint64_t first_block, std::uint64_t blocks);
  void queue_extent(Extent extent, std::span<const std::byte> stored);
  void queue_write(std::span<const std::byte> bytes);
  void flush_queue();
  void reserve_space(std::uint64_t end);
  void start_writeback();
  void erase_given_up();
  void erase(const Range& range);
  void sort_extents();
  void join_zeros();
  void write_index();
  void write(std::span<const std::byte> bytes, std::uint64_t offset);
  [[noreturn]] void throw_write_error(int error_number) const;

  std::filesystem::path path_;
  PartOptions options_;
  std::uint64_t blocks_;
  UniqueFd fd_;
  std::vector<Extent> extents_;  ///< in the order of writing, until finish() sorts them; 0 blocks: dropped
  std::vector<Range> given_up_;  ///< data of the file that belongs to no extent any more and is still to be erased
  std::uint64_t given_up_bytes_ = 0;
  std::vector<iovec> queue_;  ///< pieces of memory whose place is the file's end up to position_
  std::uint64_t queued_bytes_ = 0;
  std::uint64_t position_;       ///< where the next extent goes
  std::uint64_t reserved_ = 0;   ///< the file has room up to here
  std::uint64_t writeback_ = 0;  ///< writing back was started up to here
  std::uint64_t stored_bytes_ = 0, stored_blocks_ = 0;
  bool can_reserve_;
  bool finished_ = false;
  PartSummary summary_;
  std::unique_ptr<Compressor> compressor_;  ///< null where nothing is compressed
};

}  // namespace tintype
