// SPDX-License-Identifier: Apache-2.0
// A redo log that somebody else wrote, above an image. The input is what the file says, close together (`Head`),
// without its checksums, paths and data. It is read as it is, then with all checksums set right.
#include <unistd.h>

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "devices/block/backend.h"
#include "devices/block/boot_id.h"
#include "devices/block/layer_stack.h"
#include "devices/block/log_scan.h"
#include "tests/fuzz/generator.h"
#include "tests/fuzz/promise.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

using namespace log_format;

constexpr std::uint64_t kLongestFile = kHeaderBytes + 2 * kGroupBytes;
constexpr std::uint64_t kLargestDisk = 1024 * kSectorSize;  // what is read sector by sector
constexpr std::size_t kMostRecords = 64;
constexpr std::uint64_t kSecondHalf = kSlotsPerGroup - kMostRecords / 2;  // so many slots are skipped: two groups

/// What the input begins with; records follow.
struct Head {
  std::uint32_t version = kVersion;
  Purpose purpose = Purpose::kCommit;
  std::uint64_t sequence = 1, disk_size = 0;
  StateKind state = StateKind::kFresh;
  std::uint32_t path_length = 0;
  std::uint32_t file_bytes = 0;
  std::uint8_t of_this_boot = 1, late = 0, has_last_flush = 0, magic_changed = 0;
  Record last_flush{};
};
static_assert(sizeof(Head) == 72);

/// Files in memory, the same for all inputs.
class MemoryFile {
 public:
  explicit MemoryFile(const char* name) : fd_(::memfd_create(name, MFD_CLOEXEC)) {
    check(fd_.get() >= 0, "there is memory for a file");
  }
  int fd() const { return fd_.get(); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }
  /// So many zeros.
  void clear(std::uint64_t bytes) {
    check(::ftruncate(fd_.get(), 0) == 0 && ::ftruncate(fd_.get(), static_cast<off_t>(bytes)) == 0,
          "the file gets its length");
  }
  /// As far as it goes.
  template <typename Part>
  void put(const Part& part, std::uint64_t offset, std::uint64_t size) {
    if (offset >= size) return;
    const auto bytes = std::as_bytes(std::span(&part, 1));
    write_exactly(fd_.get(), bytes.first(std::min<std::uint64_t>(bytes.size(), size - offset)), offset, path());
  }

 private:
  UniqueFd fd_;
};

/// A log in parts.
struct Log {
  Superblock superblock;
  State state;
  std::optional<Record> last_flush;
  std::vector<Record> records;
  std::uint64_t first_slot = 0, bytes = 0;
};

const auto& this_boot() {
  static const auto id = boot_id();
  return id;
}

Log log_of(std::span<const std::uint8_t> bytes) {
  Head head;
  const std::size_t taken = std::min(bytes.size(), sizeof head);
  std::memcpy(static_cast<void*>(&head), bytes.data(), taken);
  Log log;
  if (head.magic_changed == 0) log.superblock.magic = kMagic;
  log.superblock.version = head.version;
  log.superblock.purpose = head.purpose;
  log.superblock.sequence = head.sequence;
  log.superblock.disk_size = head.disk_size;
  log.superblock.base_path_length = head.path_length;
  if (head.of_this_boot != 0) log.superblock.boot_id = this_boot();
  log.state.kind = head.state;
  if (head.has_last_flush != 0) log.last_flush = head.last_flush;
  log.records.resize(std::min(kMostRecords, (bytes.size() - taken) / sizeof(Record)));
  if (!log.records.empty())
    std::memcpy(static_cast<void*>(log.records.data()), bytes.data() + taken, log.records.size() * sizeof(Record));
  log.first_slot = head.late != 0 ? kSecondHalf : 0;
  log.bytes = std::min<std::uint64_t>(head.file_bytes, kLongestFile);
  return log;
}

void seal(Log& log) {
  log.superblock.checksum = checksum_of(log.superblock);
  const std::uint64_t seed = log_seed(log.superblock);
  log.state.checksum = checksum_of(log.state, seed);
  if (log.last_flush) log.last_flush->checksum = checksum_of(*log.last_flush, seed, kLastFlushSlot);
  for (std::size_t i = 0; i < log.records.size(); ++i)
    log.records[i].checksum = checksum_of(log.records[i], seed, log.first_slot + i);
}

void put(const Log& log, MemoryFile& file) {
  file.clear(log.bytes);
  file.put(log.superblock, 0, log.bytes);
  file.put(log.state, kStateOffset, log.bytes);
  if (log.last_flush) file.put(*log.last_flush, kLastFlushOffset, log.bytes);
  for (std::size_t i = 0; i < log.records.size(); ++i)
    file.put(log.records[i], slot_offset(log.first_slot + i), log.bytes);
}

/// After a power cut only what a flush point speaks for, one that is there to its end.
std::uint64_t slots_that_count(const Log& log) {
  if (log.superblock.version == 1 || log.superblock.boot_id == this_boot()) return ~std::uint64_t{0};
  std::uint64_t slots = 0;
  for (std::size_t i = 0; i < log.records.size() && slot_offset(log.first_slot + i) + kRecordBytes <= log.bytes; ++i)
    if (log.records[i].kind == RecordKind::kFlushed) slots = std::max(slots, log.records[i].first_sector);
  return slots;
}

/// What the records say of a sector: the newest one that counts.
struct Said {
  bool held = false, zeros = false;
  std::uint64_t position = 0;
};

Said said_of(const Log& log, std::uint64_t slots, std::uint64_t sector) {
  Said said;
  for (std::size_t i = 0; i < log.records.size() && log.first_slot + i < slots; ++i) {
    const Record& record = log.records[i];
    if (record.kind == RecordKind::kFlushed || slot_offset(log.first_slot + i) >= log.bytes) continue;
    if (sector < record.first_sector || sector - record.first_sector >= record.sector_count) continue;
    said = {record.kind != RecordKind::kRelease, record.kind == RecordKind::kZeros,
            record.position + (sector - record.first_sector)};
  }
  return said;
}

void check_index(const Log& log, const RedoLog& loaded) {
  const std::uint64_t slots = slots_that_count(log);
  for (std::uint64_t sector = 0; sector < log.superblock.disk_size / kSectorSize; ++sector) {
    const Said said = said_of(log, slots, sector);
    const auto extent = loaded.index().at_or_after(sector);
    const bool held = extent && extent->range.start == sector;
    if (held != said.held) broken_promise("a log holds the sectors that its records say");
    if (!held) continue;
    if (extent->zeros != said.zeros) broken_promise("a log says of zeros what its newest record says");
    if (!said.zeros && extent->position != said.position) broken_promise("a sector lies where its newest record says");
  }
}

/// Above an image of the size that it speaks of, all of it can be read.
void check_stack(const std::shared_ptr<RedoLog>& loaded, std::uint64_t bytes) {
  static MemoryFile image("image");
  image.clear(bytes);
  const LayerStack stack{RawFile::open_unnamed(image.fd(), "/image", {}), {loaded}, 0};
  std::vector<std::byte> contents(bytes);
  read_stack(stack, 0, contents);
  std::uint64_t sector = 0;
  while (const auto data = next_data(stack, sector)) {
    if (data->end <= sector || data->end > bytes / kSectorSize) broken_promise("data lies in the disk");
    sector = data->end;
  }
}

void read(const Log& log, bool sealed) {
  static MemoryFile file("log");
  put(log, file);
  try {
    LogScan scan(file.path(), {}, true);
    const auto loaded = scan.load();
    if (!sealed || log.superblock.disk_size > kLargestDisk) return;
    check_index(log, *loaded);
    check_stack(loaded, log.superblock.disk_size);
  } catch (const Error&) {
  }
}

/// With every record that is wrong left out, as `tintype disk check` reads it.
void read_all(const Log& log) {
  static MemoryFile file("log");
  put(log, file);
  std::vector<std::string> wrong;
  try {
    LogScan scan(file.path(), {}, true, &wrong);
    const auto loaded = scan.load();
    if (log.superblock.disk_size <= kLargestDisk) check_stack(loaded, log.superblock.disk_size);
  } catch (const Error&) {
  }
}

Record sample_record(std::mt19937_64& random, std::uint64_t sectors, std::uint64_t slot) {
  constexpr RecordKind kKinds[] = {RecordKind::kHold, RecordKind::kHold, RecordKind::kZeros, RecordKind::kFlushed,
                                   RecordKind::kRelease};
  Record record;
  record.kind = kKinds[random() % 5];
  if (record.kind == RecordKind::kFlushed) return {slot, 0, 0, record.kind, 0};
  record.first_sector = random() % sectors;
  record.sector_count =
      static_cast<std::uint32_t>(1 + random() % std::min<std::uint64_t>(sectors - record.first_sector, 16));
  if (record.kind == RecordKind::kHold) record.position = data_position(random() % 4000);
  return record;
}

}  // namespace

std::vector<std::uint8_t> generate_input(std::mt19937_64& random) {
  Head head;
  head.version = static_cast<std::uint32_t>(random() % 4 == 0 ? 1 + random() % kVersion : kVersion);
  head.purpose = static_cast<Purpose>(random() % 2);
  head.sequence = 1 + random() % 3;
  const std::uint64_t sectors = 8 + random() % 256;
  head.disk_size = sectors * kSectorSize;
  head.state = static_cast<StateKind>(1 + random() % 5);
  head.file_bytes = random() % 4 == 0 ? static_cast<std::uint32_t>(random() % kLongestFile) : kLongestFile;
  head.of_this_boot = random() % 2 == 0;
  head.late = random() % 4 == 0;
  std::vector<Record> records(random() % 24);
  for (std::size_t i = 0; i < records.size(); ++i)
    records[i] = sample_record(random, sectors, (head.late != 0 ? kSecondHalf : 0) + i);
  std::vector<std::uint8_t> bytes(sizeof head + records.size() * sizeof(Record));
  std::memcpy(bytes.data(), &head, sizeof head);
  if (!records.empty()) std::memcpy(bytes.data() + sizeof head, records.data(), records.size() * sizeof(Record));
  return bytes;
}

}  // namespace tintype

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tintype;
  Log log = log_of(std::span(data, size));
  read(log, false);
  seal(log);
  read(log, true);
  read_all(log);
  return 0;
}
