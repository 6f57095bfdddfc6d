// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/backup/plan.h"
#include "vmm/machine/config.h"

namespace tintype {

class VerbOptions;

/// What `run` can be given, each thing given or not: once from the command line and once from a file, so that one can
/// win over the other.
struct RunOptions {
  std::optional<std::string> kernel, initrd, append, name, disk_directory, serial, on_panic, gdb;
  std::optional<std::uint64_t> memory, cpus;
  std::vector<DiskConfig> disks;
  std::vector<std::string> trace;
  std::vector<BackupPlan> backups;  ///< from a file only
  bool detach = false, fail_on_reset = false;

  /// Takes from `weaker` what is not given here. Lists are taken whole or not at all.
  void fill_from(const RunOptions& weaker);
};

/// The file of --config: TOML with the options' names as keys. UsageError that names the line for an unknown key or a
/// wrong value. Relative paths in it start at the file's directory.
RunOptions read_config_file(const std::string& path);
/// The same from text; `path` is for messages and relative paths.
RunOptions parse_config(std::string_view text, const std::string& path);

/// Everything checked, paths made absolute (a detached machine leaves the directory), the rest by default. `json`:
/// stdout is spoken for. UsageError.
MachineConfig machine_config(const RunOptions& options, bool json);

/// Looks at what the options name: no image twice, and a --disk-dir in which files can be made. UsageError, Error.
void check_files(const MachineConfig& config);

/// The serial line of --serial, by default stdio, or null where stdio cannot be had: a detached machine has none, and
/// with --json stdout is for the one object. UsageError where stdio is asked for nevertheless.
SerialConfig serial_config(const std::optional<std::string>& text, bool detach, bool json);

}  // namespace tintype
