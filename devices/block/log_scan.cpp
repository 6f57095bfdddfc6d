// SPDX-License-Identifier: Apache-2.0
#include "devices/block/log_scan.h"

#include <fcntl.h>

#include <sys/stat.h>

#include <array>
#include <cstring>
#include <span>

#include "devices/block/boot_id.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/base/overflow.h"

namespace tintype {

using namespace log_format;

namespace {

/// What bears the name may be anything: a named pipe would be waited for. A file is written to as any other is:
/// io_uring may give up at once what is not to be waited for.
UniqueFd open_log(const std::filesystem::path& path, int access) {
  UniqueFd fd(::open(path.c_str(), access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat there {};
  if (fd && ::fstat(fd.get(), &there) == 0 && !S_ISREG(there.st_mode))
    throw LogDamaged("{} is named like a redo log, and is no file: give it another name", path.string());
  if (fd && ::fcntl(fd.get(), F_SETFL, 0) != 0) throw_errno("fcntl(F_SETFL) on {}", path.string());
  return fd;
}

}  // namespace

LogScan::LogScan(const std::filesystem::path& path, const std::filesystem::path& link, bool read_only,
                 std::vector<std::string>* wrong)
    : path_(path), link_(link), fd_(open_log(path, read_only ? O_RDONLY : O_RDWR)), wrong_(wrong) {
  if (!fd_) {
    throw Error("the redo log {} cannot be opened: {}; it holds updates of the disk, so make it accessible",
                path.string(), errno_text(errno));
  }
  file_size_ = file_size(fd_.get(), path_.string());
  read_superblock();
  read_state();
}

std::shared_ptr<RedoLog> LogScan::load() {
  check_last_flush();
  find_last_flush_point();
  end_ = written_since_boot() ? ~std::uint64_t{0} : flushed_.first_sector;
  take_records();
  if (records_flushed_ < flushed_.position)
    wrong(fmt::format("{} of the {} records that were flushed last are missing", flushed_.position - records_flushed_,
                      flushed_.position));
  std::shared_ptr<RedoLog> log(new RedoLog(path_, link_, std::move(fd_), superblock_));
  log->state_ = state_;
  log->index_ = std::move(index_);
  log->discarded_ = discarded_;
  log->next_slot_ = log->records_end_ = slots_end_;
  log->next_data_ = data_end_;
  log->records_written_ = records_taken_;
  log->void_slots_ = std::move(void_slots_);
  log->note_write();  // nobody knows what of it is on stable storage
  return log;
}

void LogScan::wrong(const std::string& what) {
  if (wrong_ == nullptr) damaged(what);
  wrong_->push_back(what);
}

void LogScan::damaged(const std::string& what) const {
  throw LogDamaged(
      "the redo log {} is damaged ({}), and the disk is incomplete without it: put back an intact copy of "
      "the log, or delete it to give up the "
      "updates in it",
      path_.string(), what);
}

void LogScan::read_superblock() {
  // Up to version 4, a log without a record ends behind its state.
  if (file_size_ < kStateOffset + sizeof(State)) damaged(fmt::format("it is cut off after {} bytes", file_size_));
  read_exactly(fd_.get(), std::as_writable_bytes(std::span(&superblock_, 1)), 0, path_.string());
  if (superblock_.magic != kMagic) damaged("it does not begin like a redo log");
  if (superblock_.version < kOldestVersion || superblock_.version > kVersion) {
    throw Error(
        "the redo log {} has format version {}, but this program knows only versions {} to {}: use the version of "
        "tintype that wrote it",
        path_.string(), superblock_.version, kOldestVersion, kVersion);
  }
  if (superblock_.version >= 5 && file_size_ < kHeaderBytes)
    damaged(fmt::format("it is cut off after {} bytes", file_size_));
  if (superblock_.checksum != checksum_of(superblock_)) damaged("the checksum of its superblock is wrong");
  const std::size_t longest = superblock_.version == 1 ? kLongestPathInVersion1 : superblock_.base_path.size();
  if (superblock_.base_path_length > longest || superblock_.disk_size == 0 || superblock_.disk_size % 512 != 0 ||
      superblock_.sequence == 0 || superblock_.purpose > Purpose::kKeep) {
    damaged("its superblock makes no sense");
  }
  seed_ = log_seed(superblock_);
}

void LogScan::read_state() {
  read_exactly(fd_.get(), std::as_writable_bytes(std::span(&state_, 1)), kStateOffset, path_.string());
  const StateKind last = superblock_.version < 3 ? StateKind::kRetired : StateKind::kDiscarded;
  const bool is_known = StateKind::kFresh <= state_.kind && state_.kind <= last;
  const bool is_sound = state_.checksum == checksum_of(state_, seed_);
  if (is_known && is_sound) return;
  wrong(is_sound ? "its state is unknown" : "the checksum of its state is wrong");
  state_ = {};
}

Record LogScan::record_at(std::uint64_t offset) const {
  Record record;
  if (!range_fits(offset, std::uint64_t{sizeof record}, file_size_)) return {0, 0, 0, RecordKind{0}, 0};
  read_exactly(fd_.get(), std::as_writable_bytes(std::span(&record, 1)), offset, path_.string());
  return record;
}

// A copy that ended too early may end where no record is missed: between two groups, or before the first.
void LogScan::check_last_flush() {
  const Record last = record_at(kLastFlushOffset);
  if (is_empty(last)) return;
  if (!is_flush_point(last, kLastFlushSlot) || last.first_sector == 0)
    return wrong("its note of the last flush is no such note");
  const std::uint64_t slot = last.first_sector - 1;
  if (slot >= file_size_ / kRecordBytes || !is_flush_point(record_at(slot_offset(slot)), slot))
    wrong(fmt::format("it is cut off after {} bytes: what was flushed last is missing", file_size_));
}

// Version 1 has no flush points: all that it holds counts.
bool LogScan::written_since_boot() const noexcept {
  static constexpr decltype(superblock_.boot_id) kUnknown{};
  if (superblock_.version == 1) return true;
  return superblock_.boot_id != kUnknown && superblock_.boot_id == boot_id();
}

bool LogScan::has_group(std::uint64_t group) const noexcept { return slot_offset(group * kSlotsPerGroup) < file_size_; }

std::span<const Record> LogScan::read_group(std::uint64_t group) {
  const std::uint64_t offset = slot_offset(group * kSlotsPerGroup);
  const std::uint64_t length = std::min<std::uint64_t>(sizeof records_, file_size_ - offset);
  const auto whole = std::span(records_).first((length + sizeof(Record) - 1) / sizeof(Record));
  whole.back() = {};
  read_exactly(fd_.get(), std::as_writable_bytes(whole).first(length), offset, path_.string());
  return whole;
}

bool LogScan::is_sound(const Record& record, std::uint64_t slot) const noexcept {
  return record.checksum == checksum_of(record, seed_, slot);
}

bool LogScan::is_flush_point(const Record& record, std::uint64_t slot) const noexcept {
  return record.kind == RecordKind::kFlushed && is_sound(record, slot);
}

// A flush point is written when all that it speaks for is durable: wherever one is found, it may be believed.
void LogScan::find_last_flush_point() {
  for (std::uint64_t group = 0; has_group(group); ++group) {
    std::uint64_t slot = group * kSlotsPerGroup;
    for (const Record& record : read_group(group)) {
      if (is_flush_point(record, slot) && record.first_sector > flushed_.first_sector) flushed_ = record;
      ++slot;
    }
  }
}

void LogScan::take_records() {
  for (std::uint64_t group = 0; has_group(group); ++group) {
    std::uint64_t slot = group * kSlotsPerGroup;
    for (const Record& record : read_group(group)) {
      if (!is_empty(record)) slots_end_ = slot + 1;
      if (slot < end_) {
        take_record(record, slot);
      } else if (!is_empty(record)) {
        leave_out(record, slot);
      }
      ++slot;
    }
  }
}

// An all-zero slot is one that was never written: its request was still in flight when the machine was
// killed, or failed. Or it was lost since: so flush points count.
bool LogScan::is_empty(const Record& record) noexcept {
  static constexpr Record kNever{0, 0, 0, RecordKind{0}, 0};
  return std::memcmp(&record, &kNever, sizeof record) == 0;
}

void LogScan::leave_out(const Record& record, std::uint64_t slot) {
  if (is_flush_point(record, slot)) return;
  if (is_sound(record, slot)) ++discarded_;
  void_slots_.push_back(slot);
}

void LogScan::take_record(const Record& record, std::uint64_t slot) {
  if (is_empty(record)) return;
  if (record.kind != RecordKind::kFlushed && slot < flushed_.first_sector) ++records_flushed_;
  if (const std::string what = wrong_with(record, slot); !what.empty()) return wrong(what);
  if (record.kind == RecordKind::kFlushed) return;
  ++records_taken_;
  const SectorRange range{record.first_sector, record.first_sector + record.sector_count};
  if (record.kind == RecordKind::kRelease) index_.erase(range);
  if (record.kind == RecordKind::kZeros) index_.insert_zeros(range);
  if (record.kind != RecordKind::kHold) return;
  data_end_ = std::max(data_end_, data_number(record.position) + record.sector_count);
  index_.insert(range, record.position);
}

std::string LogScan::wrong_with(const Record& record, std::uint64_t slot) const {
  if (!is_sound(record, slot)) return fmt::format("the checksum of record {} is wrong", slot);
  if (record.kind == RecordKind::kFlushed && superblock_.version >= 2) return {};
  if (record.sector_count == 0 ||
      !range_fits(record.first_sector, std::uint64_t{record.sector_count}, superblock_.disk_size / 512)) {
    return fmt::format("record {} lies outside the disk", slot);
  }
  if (record.kind == RecordKind::kHold) return wrong_with_hold(record, slot);
  if (record.kind == RecordKind::kZeros && superblock_.version >= 3) return {};
  return record.kind == RecordKind::kRelease ? "" : fmt::format("record {} is of an unknown kind", slot);
}

std::string LogScan::wrong_with_hold(const Record& record, std::uint64_t slot) const {
  if (!range_fits(record.position, std::uint64_t{record.sector_count}, file_size_ / 512))
    return fmt::format("the data of record {} is missing: the file ends after {} bytes", slot, file_size_);
  const std::uint64_t first = kHeaderBytes / 512;
  const std::uint64_t in_group = record.position < first ? 0 : (record.position - first) % (kGroupBytes / 512);
  const bool is_data = in_group >= kSlotBytesPerGroup / 512 && in_group + record.sector_count <= kGroupBytes / 512;
  return is_data ? "" : fmt::format("record {} points to no data", slot);
}

}  // namespace tintype
