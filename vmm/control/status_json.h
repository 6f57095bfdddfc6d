// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the control socket carries, as JSON; `--json` prints the same. (A checkpoint's report:
// checkpoint/format/manifest.h.)

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "vmm/base/progress.h"
#include "vmm/machine/machine.h"

namespace tintype {

struct DiskStatus {
  std::string id, image;
  DiskMode mode = DiskMode::kPersistent;
  bool read_only = false;
  bool waits_for_room = false;  ///< for its redo log; the guest's writes are held until there is some
  std::string problem;          ///< why the host cannot read or write it: the machine is paused until it is continued
  std::uint64_t reads = 0, writes = 0, bytes_read = 0, bytes_written = 0;  ///< of the guest, since the machine began
};

/// Memory that is still being brought in after a lazy restore.
struct LoadReport {
  std::uint64_t bytes_left = 0, bytes_total = 0;
  std::string problem;  ///< why it cannot be: the machine is paused until it is continued, or stopped
};

/// What `tintype status` tells.
struct StatusReport {
  std::string name;
  std::uint32_t pid = 0;
  RunState state = RunState::kCreated;
  bool checkpoint_running = false;
  std::uint64_t uptime_ms = 0, exits = 0;
  std::optional<std::uint64_t> interrupts, page_faults;  ///< nothing where KVM does not count them
  std::vector<ExitCount> exits_by_reason, exits_by_device;
  std::optional<std::uint64_t> restored_from;  ///< id of the checkpoint
  std::uint64_t memory = 0;                    ///< bytes
  std::optional<LoadReport> load;
  std::uint32_t cpus = 0;
  std::string kernel, serial;
  std::vector<DiskStatus> disks;
  std::vector<BackupStatus> backups;
  std::string stands_still;  ///< why it may not run on
  bool in_debugger = false;  ///< it stands still for a debugger
};

StatusReport status_report(const MachineConfig& config, const MachineStatus& status, int pid);

// Each struct to JSON and back, by one list of its fields; tintype::Error where something is missing or of the wrong
// kind.
nlohmann::json status_to_json(const StatusReport& status);
StatusReport status_from_json(const nlohmann::json& object);

/// How all backups of a machine are getting on.
struct BackupReport {
  std::string name;
  std::vector<BackupStatus> backups;
  std::string no_longer{};  ///< what was asked for before, and this call did not repeat
};
nlohmann::json backups_to_json(const BackupReport& report);
BackupReport backups_from_json(const nlohmann::json& object);

/// A path of any bytes: text, or {"bytes": "<hexadecimal>"} where it is not UTF-8.
nlohmann::json path_to_json(const std::filesystem::path& path);
std::filesystem::path path_from_json(const nlohmann::json& value, const std::string& what);

nlohmann::json progress_to_json(const Progress& progress);
Progress progress_from_json(const nlohmann::json& object);

}  // namespace tintype
