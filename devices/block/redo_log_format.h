// SPDX-License-Identifier: Apache-2.0
#pragma once

// The bytes of a redo log file. README.md in this folder describes them in words. All numbers are
// little-endian.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "vmm/base/little_endian.h"

namespace tintype::log_format {

inline constexpr std::array<char, 8> kMagic{'T', 'I', 'N', 'T', 'Y', 'L', 'O', 'G'};
inline constexpr std::uint32_t kVersion = 5;        ///< written
inline constexpr std::uint32_t kOldestVersion = 1;  ///< still read

inline constexpr std::uint64_t kStateOffset = 4096;
inline constexpr std::uint64_t kLastFlushOffset = 4608;  ///< a record: where the last flush point is
inline constexpr std::uint64_t kHeaderBytes = 8192;      ///< superblock and state; the first group follows
inline constexpr std::uint64_t kGroupBytes = 2 << 20;    ///< a group: record slots, then data
inline constexpr std::uint64_t kSlotBytesPerGroup = 16 << 10;
inline constexpr std::uint64_t kRecordBytes = 32;
inline constexpr std::uint64_t kSlotsPerGroup = kSlotBytesPerGroup / kRecordBytes;
inline constexpr std::uint64_t kDataSectorsPerGroup = (kGroupBytes - kSlotBytesPerGroup) / 512;

enum class BaseKind : std::uint32_t { kFile = 1, kBlockDevice = 2 };

/// What becomes of a log that is found when the image is opened.
enum class Purpose : std::uint32_t {
  kCommit = 0,  ///< a killed machine left it: it goes into the base
  kKeep = 1,    ///< an undoable disk's: it stays until the user says what becomes of it (from version 3 on)
};

/// Written once, when the log is made.
struct Superblock {
  std::array<char, 8> magic{};            // 0
  std::uint32_t version = 0;              // 8
  BaseKind base_kind = BaseKind::kFile;   // 12
  std::array<std::uint8_t, 16> log_id{};  // 16  random
  std::uint64_t sequence = 0;             // 32  1 for the log right above the base, then 2, ...
  std::uint64_t disk_size = 0;            // 40  bytes
  std::uint64_t base_inode = 0;           // 48  of a block device: its device number
  std::uint64_t base_birth_ns = 0;        // 56  when the inode was made; 0 where the file system does not say
  std::uint32_t base_path_length = 0;     // 64
  Purpose purpose = Purpose::kCommit;     // 68
  std::array<char, 3984> base_path{};     // 72  where the image was; for messages, and to tell whose log this is
  // In version 1 the path may be longer, to 4088.
  std::array<std::uint8_t, 16> image_mark{};  // 4056  what the image was marked with when the log was made; 0: nothing
  std::array<std::uint8_t, 16> boot_id{};     // 4072  of the host, while the log was written; 0: unknown
  std::uint64_t checksum = 0;                 // 4088  XXH3-64 of what stands before it
};
static_assert(sizeof(Superblock) == 4096 && offsetof(Superblock, base_path) == 72 &&
              offsetof(Superblock, image_mark) == 4056 && offsetof(Superblock, boot_id) == 4072 &&
              offsetof(Superblock, checksum) == 4088);
inline constexpr std::uint32_t kLongestPathInVersion1 = 4016;

enum class StateKind : std::uint32_t {
  kFresh = 1,       ///< made; requests of the old epoch may still be landing in the base
  kStable = 2,      ///< the base does not change; base_modified_ns tells since when
  kCommitting = 3,  ///< this log or one below it is being committed to the base
  kRetired = 4,     ///< all of it is in the layer below: the file may be deleted
  kDiscarded = 5,   ///< given up by the user, with every log above it: delete them (from version 3 on)
};

/// Overwritten in place, in one sector.
struct State {
  StateKind kind = StateKind::kFresh;       // 0
  std::uint32_t reserved = 0;               // 4
  std::uint64_t base_modified_ns = 0;       // 8   mtime of the base when it became stable
  std::uint64_t merged_through = 0;         // 16  it has all of the logs above it up to that sequence; 0: of none
  std::array<std::uint8_t, 480> padding{};  // 24
  std::uint64_t checksum = 0;               // 504  XXH3-64 of what stands before it, seeded with log_seed()
};
static_assert(sizeof(State) == 512 && offsetof(State, checksum) == 504);

enum class RecordKind : std::uint32_t {
  kHold = 1,     ///< the log holds these sectors, at `position`
  kRelease = 2,  ///< it holds them no longer: look for them below. Written by version 1 only
  kZeros = 4,    ///< the log holds these sectors, and they are zeros (from version 3 on)
  /// All records in slots below `first_sector` are on stable storage, and so is what they speak of. `position` is how
  /// many there are of other kinds; 0: nobody counted.
  kFlushed = 3,
};

/// Says something about a range of sectors; a record in a higher slot overrules one in a lower slot.
struct Record {
  std::uint64_t first_sector = 0;       // 0
  std::uint64_t position = 0;           // 8   of kHold: sectors from the start of the file; else 0
  std::uint32_t sector_count = 0;       // 16
  RecordKind kind = RecordKind::kHold;  // 20
  std::uint64_t checksum = 0;           // 24  XXH3-64 of what stands before it, seeded with log_seed() ^ slot number
};
static_assert(sizeof(Record) == kRecordBytes && offsetof(Record, checksum) == 24);

/// Where the record slot `slot` lies in the file, in bytes.
constexpr std::uint64_t slot_offset(std::uint64_t slot) noexcept {
  return kHeaderBytes + slot / kSlotsPerGroup * kGroupBytes + slot % kSlotsPerGroup * kRecordBytes;
}

/// Where the `number`-th sector of data lies, in sectors from the start of the file.
constexpr std::uint64_t data_position(std::uint64_t number) noexcept {
  return (kHeaderBytes + number / kDataSectorsPerGroup * kGroupBytes + kSlotBytesPerGroup) / 512 +
         number % kDataSectorsPerGroup;
}

/// The other way round, of a sector of data.
constexpr std::uint64_t data_number(std::uint64_t position) noexcept {
  const std::uint64_t in_groups = position - kHeaderBytes / 512;
  return in_groups / (kGroupBytes / 512) * kDataSectorsPerGroup + in_groups % (kGroupBytes / 512) -
         kSlotBytesPerGroup / 512;
}

/// At kLastFlushOffset: a record of kind kFlushed that says that the slots below `first_sector` were in use at a flush,
/// the last of them for its flush point. What a log that is shorter lost was flushed. Its slot number:
inline constexpr std::uint64_t kLastFlushSlot = ~std::uint64_t{0};

/// The path in the superblock, of any version.
inline std::string_view base_path(const Superblock& superblock) noexcept {
  return {reinterpret_cast<const char*>(&superblock) + offsetof(Superblock, base_path), superblock.base_path_length};
}

/// XXH3-64 of the log's random id: it ties states and records to the one file that they were written for.
std::uint64_t log_seed(const Superblock& superblock) noexcept;

std::uint64_t checksum_of(const Superblock& superblock) noexcept;
std::uint64_t checksum_of(const State& state, std::uint64_t seed) noexcept;
std::uint64_t checksum_of(const Record& record, std::uint64_t seed, std::uint64_t slot) noexcept;

}  // namespace tintype::log_format
