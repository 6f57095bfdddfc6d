// SPDX-License-Identifier: Apache-2.0
#include "devices/block/log_scan.h"

#include <fcntl.h>

#include <array>
#include <cstring>
#include <span>

#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/base/overflow.h"

namespace tintype {

using namespace log_format;

LogScan::LogScan(const std::filesystem::path& path, const std::filesystem::path& link, bool read_only)
    : path_(path), link_(link), fd_(::open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC)) {
  if (!fd_) {
    throw Error("the redo log {} cannot be opened: {}; it holds updates of the disk, so make it accessible",
                path.string(), errno_text(errno));
  }
  file_size_ = file_size(fd_.get(), path_.string());
  read_superblock();
  read_state();
}

std::shared_ptr<RedoLog> LogScan::load() {
  for (std::uint64_t group = 0; kHeaderBytes + group * kGroupBytes < file_size_; ++group) read_group(group);
  std::shared_ptr<RedoLog> log(new RedoLog(path_, link_, std::move(fd_), superblock_));
  log->state_ = state_;
  log->index_ = std::move(index_);
  return log;
}

void LogScan::damaged(const std::string& what) const {
  throw Error(
      "the redo log {} is damaged ({}), and the disk is incomplete without it: put back an intact copy of "
      "the log, or delete it to give up the "
      "updates in it",
      path_.string(), what);
}

void LogScan::read_superblock() {
  // A log without a record ends behind its state.
  if (file_size_ < kStateOffset + sizeof(State)) damaged(fmt::format("it is cut off after {} bytes", file_size_));
  read_exactly(fd_.get(), std::as_writable_bytes(std::span(&superblock_, 1)), 0, path_.string());
  if (superblock_.magic != kMagic) damaged("it does not begin like a redo log");
  if (superblock_.version != kVersion) {
    throw Error(
        "the redo log {} has format version {}, but this program knows only version {}: use the version of "
        "tintype that wrote it",
        path_.string(), superblock_.version, kVersion);
  }
  if (superblock_.checksum != checksum_of(superblock_)) damaged("the checksum of its superblock is wrong");
  if (superblock_.base_path_length > superblock_.base_path.size() || superblock_.disk_size == 0 ||
      superblock_.disk_size % 512 != 0 || superblock_.sequence == 0) {
    damaged("its superblock makes no sense");
  }
  seed_ = log_seed(superblock_);
}

void LogScan::read_state() {
  read_exactly(fd_.get(), std::as_writable_bytes(std::span(&state_, 1)), kStateOffset, path_.string());
  if (state_.checksum != checksum_of(state_, seed_)) damaged("the checksum of its state is wrong");
  if (state_.kind < StateKind::kFresh || state_.kind > StateKind::kRetired) damaged("its state is unknown");
}

void LogScan::read_group(std::uint64_t group) {
  std::array<Record, kSlotsPerGroup> records{};
  const std::uint64_t offset = slot_offset(group * kSlotsPerGroup);
  const std::uint64_t length = std::min<std::uint64_t>(sizeof records, file_size_ - offset);
  if (length % sizeof(Record) != 0) damaged(fmt::format("it is cut off after {} bytes", file_size_));
  read_exactly(fd_.get(), std::as_writable_bytes(std::span(records)).first(length), offset, path_.string());
  for (std::uint64_t i = 0; i < length / sizeof(Record); ++i) take_record(records[i], group * kSlotsPerGroup + i);
}

// An all-zero slot is one that was never written: its request was still in flight when the machine was
// killed, or failed.
void LogScan::take_record(const Record& record, std::uint64_t slot) {
  static constexpr Record kNever{0, 0, 0, RecordKind{0}, 0};
  if (std::memcmp(&record, &kNever, sizeof record) == 0) return;
  if (record.checksum != checksum_of(record, seed_, slot))
    damaged(fmt::format("the checksum of record {} is wrong", slot));
  if (record.sector_count == 0 ||
      !range_fits(record.first_sector, std::uint64_t{record.sector_count}, superblock_.disk_size / 512)) {
    damaged(fmt::format("record {} lies outside the disk", slot));
  }
  const SectorRange range{record.first_sector, record.first_sector + record.sector_count};
  switch (record.kind) {
    case RecordKind::kHold:
      check_hold(record, slot);
      return index_.insert(range, record.position);
    case RecordKind::kRelease:
      return index_.erase(range);
  }
  damaged(fmt::format("record {} is of an unknown kind", slot));
}

void LogScan::check_hold(const Record& record, std::uint64_t slot) const {
  if (!range_fits(record.position, std::uint64_t{record.sector_count}, file_size_ / 512)) {
    damaged(fmt::format("the data of record {} is missing: the file ends after {} bytes", slot, file_size_));
  }
  const std::uint64_t first = kHeaderBytes / 512;
  const std::uint64_t in_group = record.position < first ? 0 : (record.position - first) % (kGroupBytes / 512);
  if (in_group < kSlotBytesPerGroup / 512 || in_group + record.sector_count > kGroupBytes / 512) {
    damaged(fmt::format("record {} points to no data", slot));
  }
}

}  // namespace tintype
