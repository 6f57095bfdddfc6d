// SPDX-License-Identifier: Apache-2.0
#include "devices/block/redo_log.h"

#include <sys/random.h>

#include <array>
#include <cstring>
#include <span>

#include "devices/block/boot_id.h"
#include "devices/block/log_files.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {

using namespace log_format;

namespace {

Superblock make_superblock(const RawFile& base, std::uint64_t sequence, const ImageMark::Id& mark, Purpose purpose) {
  const BaseIdentity identity = base.identity();
  Superblock superblock;
  superblock.magic = kMagic;
  superblock.version = kVersion;
  superblock.base_kind = identity.is_block_device ? BaseKind::kBlockDevice : BaseKind::kFile;
  if (::getrandom(superblock.log_id.data(), superblock.log_id.size(), 0) != ssize_t{16}) throw_errno("getrandom");
  superblock.sequence = sequence;
  superblock.purpose = purpose;
  superblock.disk_size = base.size();
  superblock.base_inode = identity.inode;
  superblock.base_birth_ns = identity.birth_ns;
  superblock.boot_id = boot_id();
  superblock.image_mark = mark;
  const std::string path = base.path().string();
  superblock.base_path_length =
      static_cast<std::uint32_t>(path.copy(superblock.base_path.data(), superblock.base_path.size()));
  superblock.checksum = checksum_of(superblock);
  return superblock;
}

}  // namespace

RedoLog::RedoLog(std::filesystem::path path, std::filesystem::path link, UniqueFd fd, const Superblock& superblock)
    : BlockFile(std::move(path), std::move(fd)),
      link_(std::move(link)),
      superblock_(superblock),
      seed_(log_seed(superblock)) {}

namespace {

struct Head {
  Superblock superblock;
  State state;
};

/// It has none yet, but where it lies is what the user has to make room in.
std::string name_of(const NewLogFile& file) { return "a fresh redo log in " + file.directory().string(); }

// The base of an undoable disk rests from the beginning: nobody writes to it while it has logs that are kept.
Head write_head(const NewLogFile& file, const RawFile& base, std::uint64_t sequence, Purpose purpose) {
  Head head;
  head.superblock = make_superblock(base, sequence, base.mark() ? base.mark()->id : new_image_mark_id(), purpose);
  if (purpose == Purpose::kKeep) head.state.kind = StateKind::kStable;
  head.state.base_modified_ns = base.modified_ns();
  head.state.checksum = checksum_of(head.state, log_seed(head.superblock));
  std::array<std::byte, kHeaderBytes - kStateOffset> rest{};
  std::memcpy(rest.data(), &head.state, sizeof head.state);
  const std::string what = name_of(file);
  write_exactly(file.fd(), rest, kStateOffset, what);
  write_exactly(file.fd(), std::as_bytes(std::span(&head.superblock, 1)), 0, what);
  return head;
}

}  // namespace

RedoLog::~RedoLog() = default;

std::shared_ptr<RedoLog> RedoLog::create(const RawFile& base, const std::filesystem::path& directory,
                                         std::uint64_t sequence, Purpose purpose,
                                         const std::function<void()>& before_name) {
  NewLogFile file(base, directory);
  const Head head = write_head(file, base, sequence, purpose);
  sync_file(file.fd(), name_of(file));
  if (before_name) before_name();
  const LogPaths paths = file.publish(sequence);
  std::shared_ptr<RedoLog> log(new RedoLog(paths.file, paths.link, file.release(), head.superblock));
  log->state_ = head.state;
  return log;
}

std::shared_ptr<RedoLog> RedoLog::create_unpublished(const RawFile& base, const std::filesystem::path& directory,
                                                     std::uint64_t sequence, Purpose purpose) {
  auto file = std::make_unique<NewLogFile>(base, directory);
  const Head head = write_head(*file, base, sequence, purpose);
  std::shared_ptr<RedoLog> log(new RedoLog(file->choose(sequence), {}, file->duplicate(), head.superblock));
  log->state_ = head.state;
  log->unpublished_ = std::move(file);
  return log;
}

void RedoLog::publish() {
  if (!unpublished_) return;
  sync_file(fd(), path().string());
  link_ = unpublished_->publish().link;
  unpublished_->release();
  unpublished_.reset();
}

std::shared_ptr<RedoLog> RedoLog::create_volatile(const RawFile& base, const std::filesystem::path& directory,
                                                  std::uint64_t sequence) {
  const Superblock superblock = make_superblock(base, sequence, {}, Purpose::kKeep);
  NewLogFile file(base, directory);
  const std::filesystem::path where = file.directory();
  std::shared_ptr<RedoLog> log(new RedoLog(where / "(no name)", {}, file.take_nameless(), superblock));
  log->volatile_ = true;
  return log;
}

void RedoLog::place(SectorRange range, std::vector<Place>& into) {
  while (!range.empty()) {
    const auto extent = index_.at_or_after(range.start);
    const std::uint64_t held_from = extent ? std::min(extent->range.start, range.end) : range.end;
    allocate({range.start, held_from}, into);
    range.start = held_from;
    if (range.empty()) return;
    const ExtentIndex::Extent held = extent->cut_to(range);
    if (held.position == ExtentIndex::kNoRoom) {
      allocate(held.range, into);
    } else {
      into.push_back({{held.range, held.position}, held.zeros});
    }
    range.start = held.range.end;
  }
}

void RedoLog::allocate(SectorRange range, std::vector<Place>& into) {
  while (!range.empty()) {
    Place run{{range, ExtentIndex::kNoRoom, false, true}, true};
    if (!free_.empty()) {
      FreeRun& room = free_.back();
      run.range.end = range.start + std::min(room.count, range.count());
      run.position = room.position;
      room.position += run.range.count();
      room.count -= run.range.count();
      if (room.count == 0) free_.pop_back();
    } else {
      const std::uint64_t left_in_group = kDataSectorsPerGroup - next_data_ % kDataSectorsPerGroup;
      run.range.end = range.start + std::min(left_in_group, range.count());
      run.position = data_position(next_data_);
      next_data_ += run.range.count();
    }
    into.push_back(run);
    range.start = run.range.end;
  }
}

void RedoLog::note(const Run& run) {
  ++records_written_;
  if (run.zeros) {
    index_.insert_zeros(run.range);
  } else {
    index_.insert(run.range, run.position);
  }
}

void RedoLog::give_back(const Run& run) {
  if (run.fresh) free_.push_back({run.position, run.range.count()});
}

Record RedoLog::record_of(const Run& run, std::uint64_t slot) const noexcept {
  const auto count = static_cast<std::uint32_t>(run.range.count());
  Record record{run.range.start, run.position, count, RecordKind::kHold, 0};
  if (run.zeros) record = {run.range.start, 0, count, RecordKind::kZeros, 0};
  record.checksum = checksum_of(record, seed_, slot);
  return record;
}

Record RedoLog::flush_record(std::uint64_t records_end, std::uint64_t records, std::uint64_t slot) const noexcept {
  Record record{records_end, records, 0, RecordKind::kFlushed, 0};
  record.checksum = checksum_of(record, seed_, slot);
  return record;
}

bool RedoLog::has_record(const Record& record, std::uint64_t slot) const noexcept {
  Record there;
  const auto offset = static_cast<off_t>(slot_offset(slot));
  if (::pread(fd(), &there, sizeof there, offset) != static_cast<ssize_t>(sizeof there)) return false;
  return std::memcmp(&there, &record, sizeof there) == 0;
}

void RedoLog::set_state(StateKind kind, std::uint64_t base_modified_ns) {
  const std::lock_guard lock(state_mutex_);
  State state = state_;
  state.kind = kind;
  if (base_modified_ns != 0) state.base_modified_ns = base_modified_ns;
  write_state(state);
}

void RedoLog::set_merged_through(std::uint64_t sequence) {
  const std::lock_guard lock(state_mutex_);
  State state = state_;
  state.merged_through = sequence;
  write_state(state);
}

void RedoLog::write_state(const State& state) {
  State written = state;
  written.checksum = checksum_of(written, seed_);
  if (!volatile_) {
    write_exactly(fd(), std::as_bytes(std::span(&written, 1)), kStateOffset, path().string());
    note_write();
  }
  state_ = written;
}

// The boot ID and the checksum share a sector, so that the superblock is the old one or the new one after a power cut.
void RedoLog::reopen_for_writing() {
  static constexpr Record kNever{0, 0, 0, RecordKind{0}, 0};
  for (const std::uint64_t slot : void_slots_)
    write_exactly(fd(), std::as_bytes(std::span(&kNever, 1)), slot_offset(slot), path().string());
  if (!void_slots_.empty()) sync_file(fd(), path().string());
  void_slots_.clear();
  if (superblock_.version == 1 || superblock_.boot_id == boot_id()) return;
  superblock_.boot_id = boot_id();
  superblock_.checksum = checksum_of(superblock_);
  write_exactly(fd(), std::as_bytes(std::span(&superblock_, 1)), 0, path().string());
  sync_file(fd(), path().string());
}

// The link goes before the file, so that a link without a file always means that somebody took the file away.
void RedoLog::remove() {
  if (volatile_ || unpublished_) return unpublished_.reset();
  if (!link_.empty()) {
    std::filesystem::remove(link_);
    sync_directory(link_.parent_path());
  }
  std::filesystem::remove(path());
  sync_directory(path().parent_path());
}

void RedoLog::discard() noexcept {
  if (volatile_ || unpublished_) return unpublished_.reset();
  std::error_code ignored;
  if (!link_.empty()) std::filesystem::remove(link_, ignored);
  std::filesystem::remove(path(), ignored);
}

}  // namespace tintype
