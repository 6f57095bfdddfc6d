// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "devices/block/disk_options.h"
#include "vmm/base/trace.h"

namespace tintype {

struct DiskConfig {
  std::filesystem::path image;  ///< empty where the disk is restored: it is named when it is written
  DiskMode mode = DiskMode::kPersistent;
  bool read_only = false;
  std::string serial;      ///< empty: the disk's id
  std::uint64_t size = 0;  ///< bytes, of a disk that is restored; otherwise the image tells
  DiskBehaviour behaviour{};
  std::filesystem::path made_of{};  ///< a directory, whose files its image holds; empty: nothing of ours
};

enum class SerialKind : std::uint8_t { kStdio, kNull, kFile, kUnix };

template <>
inline constexpr auto kWords<SerialKind> = std::to_array<Word<SerialKind>>({{SerialKind::kStdio, "stdio"},
                                                                            {SerialKind::kNull, "null"},
                                                                            {SerialKind::kFile, "file"},
                                                                            {SerialKind::kUnix, "unix"}});

struct SerialConfig {
  SerialKind kind = SerialKind::kStdio;
  std::filesystem::path path;  ///< of kFile and kUnix
};

/// What becomes of a machine whose guest's kernel says that it panics.
enum class PanicAction : std::uint8_t { kExit, kPause, kCheckpoint };

template <>
inline constexpr auto kWords<PanicAction> = std::to_array<Word<PanicAction>>(
    {{PanicAction::kExit, "exit"}, {PanicAction::kPause, "pause"}, {PanicAction::kCheckpoint, "checkpoint"}});

/// What becomes of a machine whose guest fails.
struct FailurePolicy {
  bool fail_on_reset = false;  ///< a guest that resets itself has failed: kernels without pvpanic do so after a panic
  PanicAction on_panic = PanicAction::kExit;
  std::filesystem::path panic_repository;  ///< with kCheckpoint: it is taken before the machine ends
};

/// Everything that makes a machine. The command line, a TOML file and a checkpoint's manifest all end here.
struct MachineConfig {
  std::string name;              ///< letters, digits, '-', '_', '.'; names the control socket
  std::filesystem::path kernel;  ///< empty where the machine is restored
  std::filesystem::path initrd;
  std::string append;
  std::uint64_t memory = 256 << 20;      ///< bytes
  unsigned cpus = 1;                     ///< 1 to 64
  std::vector<DiskConfig> disks;         ///< disk0, disk1, ...
  std::filesystem::path disk_directory;  ///< of redo logs; empty: beside each image
  SerialConfig serial;
  TraceConfig trace;
  std::string suspended_as;  ///< of a machine that resumes: id of its saved state, which its images bear
  FailurePolicy on_failure;
  DiskTuning disk_tuning;  ///< of all disks; for tests
};

}  // namespace tintype
