// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/format/part_writer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "checkpoint/format/part_file.h"
#include "checkpoint/format/part_layout.h"
#include "vmm/base/checksum.h"
#include "vmm/base/overflow.h"

namespace tintype {
namespace {

constexpr std::uint64_t kReserveStep = 64 << 20;
constexpr std::uint64_t kSmallPart =
    4 << 20;  ///< setting room aside, and giving it back, would cost more than it saves
constexpr std::uint64_t kEraseStep = 16 << 20;

std::uint64_t block_count(std::uint64_t bytes) { return (bytes + kBlockSize - 1) / kBlockSize; }

}  // namespace

/// Lends a cutter to one call.
class PartWriter::CutterLease {
 public:
  explicit CutterLease(PartWriter& part) : part_(part) {
    const std::lock_guard lock(part_.mutex_);
    if (part_.cutters_.empty()) {
      cutter_ = std::make_unique<ExtentCutter>(part_.options_.compression, part_.options_.incremental);
    } else {
      cutter_ = std::move(part_.cutters_.back());
      part_.cutters_.pop_back();
    }
    cutter_->clear();
  }
  ~CutterLease() {
    const std::lock_guard lock(part_.mutex_);
    part_.cutters_.push_back(std::move(cutter_));
  }
  CutterLease(const CutterLease&) = delete;
  CutterLease& operator=(const CutterLease&) = delete;

  ExtentCutter& operator*() noexcept { return *cutter_; }
  ExtentCutter* operator->() noexcept { return cutter_.get(); }

 private:
  PartWriter& part_;
  std::unique_ptr<ExtentCutter> cutter_;
};

PartWriter::PartWriter(const std::filesystem::path& path, const PartOptions& options)
    : PartWriter(std::make_unique<PartFile>(path), options) {}

PartWriter::PartWriter(std::shared_ptr<PartOutput> output, const PartOptions& options)
    : options_(options),
      blocks_(block_count(options.content_bytes)),
      file_(std::move(output)),
      position_(part_layout::kDataOffset) {
  // With the zeros behind it: what takes a file piece by piece wants all of each.
  std::array<std::byte, part_layout::kDataOffset> beginning{};
  std::ranges::copy(part_layout::encode_header({options_.kind, options_.content_bytes, options_.incremental}),
                    beginning.begin());
  file_->write(beginning, 0);
}

PartWriter::~PartWriter() = default;

void PartWriter::check_place(std::uint64_t first_block, std::uint64_t blocks) const {
  check(!finished_ && range_fits(first_block, blocks, blocks_), "appended blocks lie inside the part");
}

PartWriter::Appended PartWriter::append(std::uint64_t first_block, std::span<const std::byte> data) {
  const std::uint64_t tail = data.size() % kBlockSize, blocks = block_count(data.size());
  check_place(first_block, blocks);
  check(tail == 0 || first_block * kBlockSize + data.size() == options_.content_bytes,
        "only the last block is not whole");
  CutterLease cut(*this);
  std::vector<std::byte> whole;  // a disk that ends within a block: all of it, so that there is one run
  if (tail != 0) {
    whole.resize(blocks * kBlockSize);
    std::memcpy(whole.data(), data.data(), data.size());
    data = whole;
  }
  cut->cut(first_block, data);
  const Ticket ticket = store(*cut);
  return {cut->stored_blocks(), blocks - cut->stored_blocks(), cut->stored_bytes(), ticket};
}

PartWriter::Appended PartWriter::append_zeros(std::uint64_t first_block, std::uint64_t blocks) {
  check_place(first_block, blocks);
  CutterLease cut(*this);
  cut->add_zeros(first_block, blocks);
  return {0, blocks, 0, store(*cut)};
}

void PartWriter::append_stored(const Extent& extent, std::span<const std::byte> stored) {
  check_place(extent.first_block, extent.blocks);
  check(!extent.zero && stored.size() == extent.stored_bytes, "the bytes are the extent's");
  CutterLease cut(*this);
  cut->add_stored(extent, stored);
  store(*cut);
}

PartWriter::Ticket PartWriter::store(ExtentCutter& cut) {
  Ticket ticket;
  const std::uint64_t place = take_places(cut, ticket);
  file_->write(cut.pieces(), place);
  const std::lock_guard lock(mutex_);
  --unwritten_;
  return ticket;
}

std::uint64_t PartWriter::take_places(ExtentCutter& cut, Ticket& ticket) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t place = position_;
  for (Extent& extent : cut.extents()) {
    if (!extent.zero) extent.offset += place;
  }
  ticket = {extents_.size(), cut.extents().size()};
  extents_.insert(extents_.end(), cut.extents().begin(), cut.extents().end());
  position_ += cut.stored_bytes();
  stored_bytes_ += cut.stored_bytes();
  stored_blocks_ += cut.stored_blocks();
  ++unwritten_;
  if (position_ > kSmallPart)
    file_->reserve(position_, std::min(kReserveStep, align_up(options_.content_bytes, kBlockSize)));
  return place;
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

void PartWriter::finish() {
  check(!finished_, "a part is finished once");
  if (unwritten_ != 0) throw Error("{} is not whole: an earlier write failed", file_->name());
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
      const Range before = std::exchange(whole, range);
      file_->erase(before.offset, before.bytes);
    }
  }
  file_->erase(whole.offset, whole.bytes);
  given_up_.clear();
  given_up_bytes_ = 0;
}

void PartWriter::sort_extents() {
  std::erase_if(extents_, [](const Extent& extent) { return extent.blocks == 0; });
  std::ranges::sort(extents_, {}, &Extent::first_block);
  for (std::size_t i = 1; i < extents_.size(); ++i) {
    if (extents_[i - 1].end_block() > extents_[i].first_block) {
      throw ImageError("block {} was written twice to {}", extents_[i].first_block, file_->name());
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

// One write: what ends a small part should cost one call.
void PartWriter::write_index() {
  const std::size_t index_bytes = extents_.size() * part_layout::kEntryBytes;
  std::vector<std::byte> ending(index_bytes + part_layout::kFooterBytes);
  const std::span index = std::span(ending).first(index_bytes);
  for (std::size_t i = 0; i < extents_.size(); ++i)
    part_layout::encode_entry(extents_[i], index.subspan(i * part_layout::kEntryBytes, part_layout::kEntryBytes));
  const auto footer = part_layout::encode_footer({position_, extents_.size(), checksum_of(index)});
  std::ranges::copy(footer, ending.begin() + static_cast<std::ptrdiff_t>(index_bytes));
  file_->write(ending, position_);
  const std::uint64_t end = position_ + ending.size();
  file_->truncate(end);

  Checksum checksum;
  checksum.add(part_layout::encode_header({options_.kind, options_.content_bytes, options_.incremental}));
  checksum.add(ending);
  summary_ = {options_.content_bytes, end, checksum.value(), stored_blocks_, options_.incremental};
}

void PartWriter::sync() {
  check(finished_, "a part is finished before it is synced");
  file_->sync();
}

std::uint64_t PartWriter::stored_bytes() const {
  const std::lock_guard lock(mutex_);
  return stored_bytes_;
}

}  // namespace tintype
