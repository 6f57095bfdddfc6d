// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/format/part_format.h"
#include "checkpoint/format/report.h"

namespace tintype {

/// Written. The oldest that is read: it knows neither identities nor parents.
inline constexpr std::uint32_t kManifestFormat = 2, kOldestManifestFormat = 1;

/// A disk as the machine had it. The machine turns its own configuration into this and back.
/// How the disk treated its requests. Older checkpoints do not tell.
struct DiskBehaviourDescription {
  std::string cache = "writeback", on_error = "report";
  std::uint32_t block_size = 512;                ///< bytes, as the guest saw it
  std::uint64_t iops = 0, bytes_per_second = 0;  ///< limits; 0: none
  bool operator==(const DiskBehaviourDescription&) const = default;
};

struct DiskDescription {
  std::string id;  ///< "disk0"
  std::filesystem::path image;
  std::uint64_t size = 0;  ///< bytes
  std::string mode;        ///< "persistent", "undoable", "nonpersistent"
  bool read_only = false;
  std::string serial;
  DiskBehaviourDescription behaviour{};
  bool operator==(const DiskDescription&) const = default;
};

/// One region of guest memory: `first_block` is the number of its first page in the memory part.
struct RegionDescription {
  std::uint64_t start = 0, size = 0, first_block = 0;
  bool operator==(const RegionDescription&) const = default;
};

/// What the guest saw of its CPU, to be read by people. What a restore goes by is CPUID in machine.state.
struct CpuDescription {
  std::string vendor, model;
  std::vector<std::string> features;
  bool operator==(const CpuDescription&) const = default;
};

struct MachineDescription {
  std::uint64_t memory = 0;  ///< bytes
  std::uint32_t cpus = 0;
  std::filesystem::path kernel, initrd;  ///< for information
  std::string append;
  std::vector<RegionDescription> regions;
  std::vector<DiskDescription> disks;
  CpuDescription cpu;
  bool operator==(const MachineDescription&) const = default;
};

/// A file of the checkpoint.
struct PartDescription {
  std::string name;     ///< "memory", "state", or the disk's id
  std::string file;     ///< "memory.part", "machine.state", "disk0.part"
  PartSummary summary;  ///< of machine.state: file_bytes and checksum only
  bool operator==(const PartDescription&) const = default;
};

/// `checkpoint.json`. A checkpoint without it does not exist.
struct Manifest {
  std::uint32_t format = kManifestFormat;
  std::uint64_t id = 0;
  /// What no other checkpoint has, in no repository: new_identity(). One of format 1 has what is made of the checksum
  /// of its manifest.
  std::string identity;
  std::string vm;
  std::string time;  ///< UTC, ISO 8601: "2024-05-01T12:34:56Z"
  std::string host;
  std::string tintype_version;
  std::uint64_t parent = 0;                    ///< less than id; 0: none, everything is in here
  std::optional<std::string> parent_identity;  ///< with a parent only
  std::vector<PartDescription> parts;
  MachineDescription machine;
  CheckpointReport report;

  const PartDescription* find_part(std::string_view name) const noexcept;
};

/// The text of checkpoint.json, with the checksum of itself in it.
std::string encode_manifest(const Manifest& manifest);
/// From untrusted text. Throws ImageError that says what is wrong; `what` names the file.
Manifest decode_manifest(std::string_view text, const std::string& what);

/// What `checkpoint --json` prints: one object, as DESIGN's command line has it. And the way back (throws
/// tintype::Error).
std::string report_as_json(const CheckpointReport& report);
CheckpointReport report_from_json(std::string_view text);

/// 128 random bits, as 32 digits in hexadecimal.
std::string new_identity();

/// Now, as Manifest::time has it.
std::string utc_time_text();

}  // namespace tintype
