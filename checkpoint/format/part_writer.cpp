// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/format/part_writer.h"

#include <fcntl.h>

#include <linux/magic.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "checkpoint/format/compressor.h"
#include "checkpoint/format/part_layout.h"
#include "checkpoint/format/zero_scan.h"
#include "vmm/base/checksum.h"
#include "vmm/base/io.h"
#include "vmm/base/overflow.h"

namespace tintype {
namespace {

// A single block is checked and decompressed with all of its extent, so extents are not made larger than
// pays.
constexpr std::uint64_t kRawExtentBytes = 512 * kBlockSize, kCompressedExtentBytes = 64 * kBlockSize;

constexpr std::uint64_t kReserveStep = 64 << 20;
constexpr std::uint64_t kWritebackStep = 16 << 20;
constexpr std::uint64_t kEraseStep = 16 << 20;
constexpr std::size_t kMaximumPieces = 1024;  // IOV_MAX

std::uint64_t block_count(std::uint64_t bytes) { return (bytes + kBlockSize - 1) / kBlockSize; }

UniqueFd create_part(const std::filesystem::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) throw Error("cannot create {}: {}", path.string(), errno_text(errno));
  return fd;
}

/// In memory there are no extents to keep together, and pages allocated early are cold when they are written.
bool lies_in_memory(int fd) {
  struct statfs info {};
  return ::fstatfs(fd, &info) == 0 && info.f_type == TMPFS_MAGIC;
}

/// Bytes from the front of `data` up to the first block that is zero, or is not, as asked.
std::uint64_t run_length(std::span<const std::byte> data, bool zero) {
  std::uint64_t length = 0;
  while (length < data.size() && is_zero(data.subspan(length, kBlockSize)) == zero) length += kBlockSize;
  return length;
}

/// Drops what a short write has written.
std::span<iovec> advance(std::span<iovec> pieces, std::size_t written) {
  while (!pieces.empty() && written >= pieces.front().iov_len) {
    written -= pieces.front().iov_len;
    pieces = pieces.subspan(1);
  }
  if (written > 0) {
    pieces.front().iov_base = static_cast<std::byte*>(pieces.front().iov_base) + written;
    pieces.front().iov_len -= written;
  }
  return pieces;
}

}  // namespace

PartWriter::PartWriter(const std::filesystem::path& path, const PartOptions& options)
    : path_(path),
      options_(options),
      blocks_(block_count(options.content_bytes)),
      fd_(create_part(path)),
      position_(part_layout::kDataOffset),
      writeback_(part_layout::kDataOffset) {
  can_reserve_ = !lies_in_memory(fd_.get());
  if (options_.compression != Compression::kNone) compressor_ = std::make_unique<Compressor>(options_.compression);
  write(part_layout::encode_header({options_.kind, options_.content_bytes, options_.incremental}), 0);
}

PartWriter::~PartWriter() = default;

void PartWriter::check_place(std::uint64_t first_block, std::uint64_t blocks) const {
  check(!finished_ && range_fits(first_block, blocks, blocks_), "appended blocks lie inside the part");
}

PartWriter::Appended PartWriter::append(std::uint64_t first_block, std::span<const std::byte> data) {
  const std::uint64_t tail = data.size() % kBlockSize;
  check_place(first_block, block_count(data.size()));
  check(tail == 0 || first_block * kBlockSize + data.size() == options_.content_bytes,
        "only the last block is not whole");

  const std::uint64_t blocks_before = stored_blocks_, bytes_before = stored_bytes_;
  const std::size_t extents_before = extents_.size();
  append_blocks(first_block, data.first(data.size() - tail));
  std::array<std::byte, kBlockSize> last_block{};
  if (tail != 0) {
    std::memcpy(last_block.data(), data.data() + data.size() - tail, tail);
    append_blocks(first_block + data.size() / kBlockSize, last_block);
  }
  flush_queue();
  start_writeback();

  const std::uint64_t written = stored_blocks_ - blocks_before;
  return {written,
          block_count(data.size()) - written,
          stored_bytes_ - bytes_before,
          {extents_before, extents_.size() - extents_before}};
}

PartWriter::Appended PartWriter::append_zeros(std::uint64_t first_block, std::uint64_t blocks) {
  check_place(first_block, blocks);
  const std::size_t extents_before = extents_.size();
  add_zeros(first_block, blocks);
  return {0, blocks, 0, {extents_before, extents_.size() - extents_before}};
}

void PartWriter::append_stored(const Extent& extent, std::span<const std::byte> stored) {
  check_place(extent.first_block, extent.blocks);
  check(!extent.zero && stored.size() == extent.stored_bytes, "the bytes are the extent's");
  queue_extent(extent, stored);
  flush_queue();
  start_writeback();
}

void PartWriter::drop(const Ticket& ticket) {
  check(!finished_ && range_fits(ticket.first_extent, ticket.extents, extents_.size()), "what is dropped was written");
  for (Extent& extent : std::span(extents_).subspan(ticket.first_extent, ticket.extents)) {
    check(extent.blocks != 0, "what was written is dropped once");
    if (!extent.zero) {
      stored_blocks_ -= extent.blocks;
      stored_bytes_ -= extent.stored_bytes;
      given_up_.push_back({extent.offset, extent.stored_bytes});
      given_up_bytes_ += extent.stored_bytes;
    }
    extent.blocks = 0;
  }
  if (given_up_bytes_ >= kEraseStep) erase_given_up();
}

void PartWriter::append_blocks(std::uint64_t first_block, std::span<const std::byte> data) {
  while (!data.empty()) {
    const std::uint64_t zeros = run_length(data, true);
    const std::uint64_t run = run_length(data.subspan(zeros), false);
    add_zeros(first_block, zeros / kBlockSize);
    append_data(first_block + zeros / kBlockSize, data.subspan(zeros, run));
    data = data.subspan(zeros + run);
    first_block += (zeros + run) / kBlockSize;
  }
}

void PartWriter::append_data(std::uint64_t first_block, std::span<const std::byte> run) {
  const std::uint64_t limit = compressor_ ? kCompressedExtentBytes : kRawExtentBytes;
  while (!run.empty()) {
    const auto piece = run.first(std::min<std::uint64_t>(run.size(), limit));
    if (compressor_) {
      append_compressed(first_block, piece);
    } else {
      append_raw(first_block, piece);
    }
    run = run.subspan(piece.size());
    first_block += piece.size() / kBlockSize;
  }
}

void PartWriter::append_raw(std::uint64_t first_block, std::span<const std::byte> run) {
  add_extent(first_block, run, Compression::kNone, run);
}

void PartWriter::append_compressed(std::uint64_t first_block, std::span<const std::byte> run) {
  const auto compressed = compressor_->compress(run);
  if (compressed.empty()) return append_raw(first_block, run);
  add_extent(first_block, run, options_.compression, compressed);
  flush_queue();  // the compressor's buffer is used again
}

void PartWriter::add_extent(std::uint64_t first_block, std::span<const std::byte> run, Compression codec,
                            std::span<const std::byte> stored) {
  Extent extent;
  extent.first_block = first_block;
  extent.blocks = static_cast<std::uint32_t>(run.size() / kBlockSize);
  extent.codec = codec;
  extent.stored_bytes = stored.size();
  extent.checksum = checksum_of(stored);
  queue_extent(extent, stored);
}

// Only where absent blocks are not zero anyway.
void PartWriter::add_zeros(std::uint64_t first_block, std::uint64_t blocks) {
  while (options_.incremental && blocks != 0) {
    Extent extent;
    extent.first_block = first_block;
    extent.blocks = static_cast<std::uint32_t>(std::min<std::uint64_t>(blocks, kMaximumExtentBlocks));
    extent.zero = true;
    extents_.push_back(extent);
    first_block += extent.blocks;
    blocks -= extent.blocks;
  }
}

void PartWriter::queue_extent(Extent extent, std::span<const std::byte> stored) {
  extent.offset = position_;
  extents_.push_back(extent);
  stored_blocks_ += extent.blocks;
  stored_bytes_ += extent.stored_bytes;
  queue_write(stored);
}

void PartWriter::queue_write(std::span<const std::byte> bytes) {
  if (queue_.size() == kMaximumPieces) flush_queue();
  queue_.push_back({const_cast<std::byte*>(bytes.data()), bytes.size()});
  queued_bytes_ += bytes.size();
  position_ += bytes.size();
}

void PartWriter::flush_queue() {
  reserve_space(position_);
  std::span<iovec> pieces(queue_);
  while (!pieces.empty()) {
    const auto written = ::pwritev(fd_.get(), pieces.data(), static_cast<int>(pieces.size()),
                                   static_cast<off_t>(position_ - queued_bytes_));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw_write_error(written < 0 ? errno : ENOSPC);
    queued_bytes_ -= static_cast<std::uint64_t>(written);
    pieces = advance(pieces, static_cast<std::size_t>(written));
  }
  queue_.clear();
}

// Allocating in large steps keeps ext4 from throttling repeated captures. Where it does not work, writing
// itself will tell why.
void PartWriter::reserve_space(std::uint64_t end) {
  if (end <= reserved_ || !can_reserve_) return;
  const std::uint64_t step = std::min(kReserveStep, align_up(options_.content_bytes, kBlockSize));
  const std::uint64_t target = std::max(end, reserved_ + step);
  can_reserve_ = ::fallocate(fd_.get(), 0, static_cast<off_t>(reserved_), static_cast<off_t>(target - reserved_)) == 0;
  if (can_reserve_) reserved_ = target;
}

// The device starts on what is written, so that little is left for the fsync at the end. Not all file systems
// can; none must.
void PartWriter::start_writeback() {
  if (position_ < writeback_ + kWritebackStep) return;
  (void)::sync_file_range(fd_.get(), static_cast<off_t>(writeback_), static_cast<off_t>(position_ - writeback_),
                          SYNC_FILE_RANGE_WRITE);
  writeback_ = position_;
}

void PartWriter::finish() {
  check(!finished_, "a part is finished once");
  if (!queue_.empty()) throw Error("{} is not whole: an earlier write failed", path_.string());
  erase_given_up();
  sort_extents();
  join_zeros();
  write_index();
  finished_ = true;
}

// What was given up is a hole at best, and zeros anyway: every byte of a part has a value that can be checked.
void PartWriter::erase_given_up() {
  std::ranges::sort(given_up_, {}, &Range::offset);
  Range whole;
  for (const Range& range : given_up_) {
    if (range.offset == whole.offset + whole.bytes) {
      whole.bytes += range.bytes;
    } else {
      erase(std::exchange(whole, range));
    }
  }
  erase(whole);
  given_up_.clear();
  given_up_bytes_ = 0;
}

void PartWriter::erase(const Range& range) {
  if (range.bytes == 0) return;
  if (::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(range.offset),
                  static_cast<off_t>(range.bytes)) == 0)
    return;
  const std::vector<std::byte> zeros(std::min(range.bytes, kEraseStep));
  for (std::uint64_t done = 0; done < range.bytes; done += zeros.size())
    write(std::span(zeros).first(std::min<std::uint64_t>(zeros.size(), range.bytes - done)), range.offset + done);
}

void PartWriter::sort_extents() {
  std::erase_if(extents_, [](const Extent& extent) { return extent.blocks == 0; });
  std::ranges::sort(extents_, {}, &Extent::first_block);
  for (std::size_t i = 1; i < extents_.size(); ++i) {
    if (extents_[i - 1].end_block() > extents_[i].first_block) {
      throw ImageError("block {} was written twice to {}", extents_[i].first_block, path_.string());
    }
  }
}

void PartWriter::join_zeros() {
  if (!options_.incremental) return;
  std::vector<Extent> joined;
  for (const Extent& extent : extents_) {
    const bool fits = !joined.empty() && joined.back().zero && extent.zero &&
                      joined.back().end_block() == extent.first_block &&
                      joined.back().blocks + extent.blocks <= kMaximumExtentBlocks;
    if (fits) {
      joined.back().blocks += extent.blocks;
    } else {
      joined.push_back(extent);
    }
  }
  extents_ = std::move(joined);
}

void PartWriter::write_index() {
  std::vector<std::byte> index(extents_.size() * part_layout::kEntryBytes);
  for (std::size_t i = 0; i < extents_.size(); ++i) {
    part_layout::encode_entry(extents_[i],
                              std::span(index).subspan(i * part_layout::kEntryBytes, part_layout::kEntryBytes));
  }
  const auto footer = part_layout::encode_footer({position_, extents_.size(), checksum_of(index)});
  write(index, position_);
  write(footer, position_ + index.size());
  const std::uint64_t end = position_ + index.size() + footer.size();
  if (::ftruncate(fd_.get(), static_cast<off_t>(end)) != 0) throw_write_error(errno);

  Checksum checksum;
  checksum.add(part_layout::encode_header({options_.kind, options_.content_bytes, options_.incremental}));
  checksum.add(index);
  checksum.add(footer);
  summary_ = {options_.content_bytes, end, checksum.value(), stored_blocks_, options_.incremental};
}

void PartWriter::sync() {
  check(finished_, "a part is finished before it is synced");
  if (::fsync(fd_.get()) != 0) throw_write_error(errno);
}

void PartWriter::write(std::span<const std::byte> bytes, std::uint64_t offset) {
  try {
    write_exactly(fd_.get(), bytes, offset, path_.string());
  } catch (const std::system_error& error) {
    throw_write_error(error.code().value());
  }
}

void PartWriter::throw_write_error(int error_number) const {
  const auto directory = path_.parent_path().string();
  if (error_number == ENOSPC || error_number == EDQUOT) {
    throw DestinationFull(
        "the destination is full: {} could not be written beyond {} MiB; make room on the file system of {}, "
        "or choose "
        "another destination",
        path_.filename().string(), stored_bytes_ >> 20, directory);
  }
  throw Error("writing {} failed after {} MiB: {}", path_.string(), stored_bytes_ >> 20, errno_text(error_number));
}

}  // namespace tintype
