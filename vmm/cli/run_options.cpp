// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/run_options.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "vmm/base/error.h"
#include "vmm/base/same_file.h"
#include "vmm/base/unique_fd.h"
#include "vmm/cli/destination.h"
#include "vmm/cli/directory_disk.h"
#include "vmm/cli/values.h"
#include "vmm/control/runtime_directory.h"

namespace tintype {

namespace {

template <typename T>
void fill(std::optional<T>& mine, const std::optional<T>& weaker) {
  if (!mine) mine = weaker;
}

std::filesystem::path absolute_or_none(const std::optional<std::string>& path, std::string_view option) {
  return path ? absolute_path(*path, option) : std::filesystem::path();
}

bool leaves_image_alone(const DiskConfig& disk) { return disk.read_only || disk.mode == DiskMode::kNonpersistent; }

/// Those that leave it alone may share an image, as those of several machines may.
void refuse_doubles(const std::vector<DiskConfig>& disks) {
  for (std::size_t i = 0; i < disks.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (directory_of(disks[i]) || (leaves_image_alone(disks[i]) && leaves_image_alone(disks[k])) ||
          !is_same_file(disks[i].image, disks[k].image))
        continue;
      throw UsageError(
          "the disk image {} is given twice, as disk{} and disk{}: give each disk an image of its own, or have both "
          "leave it alone, with `,readonly` or `,mode=nonpersistent`",
          disks[i].image.string(), k, i);
    }
  }
}

void make_absolute(DiskConfig& disk) {
  const auto directory = directory_of(disk);
  disk.image = absolute_path(directory.value_or(disk.image), "--disk");
  if (directory) disk.image = "dir:" + disk.image.string();
  if (directory && disk.mode != DiskMode::kNonpersistent)
    throw UsageError("a disk that is made from a directory is nonpersistent: it goes with the machine");
}

/// A log is made in it at the first checkpoint: that it cannot be is said before the machine runs.
void check_log_directory(const std::filesystem::path& directory) {
  std::string probe = directory / ".tintype-XXXXXX";
  const UniqueFd made(::mkostemp(probe.data(), O_CLOEXEC));
  if (!made) {
    throw Error("no file can be made in {} ({}): name a directory of yours with --disk-dir", directory.string(),
                errno_text(errno));
  }
  ::unlink(probe.c_str());
}

}  // namespace

void RunOptions::fill_from(const RunOptions& weaker) {
  fill(kernel, weaker.kernel);
  fill(initrd, weaker.initrd);
  fill(append, weaker.append);
  fill(name, weaker.name);
  fill(disk_directory, weaker.disk_directory);
  fill(serial, weaker.serial);
  fill(on_panic, weaker.on_panic);
  fill(gdb, weaker.gdb);
  fill(memory, weaker.memory);
  fill(cpus, weaker.cpus);
  if (disks.empty()) disks = weaker.disks;
  if (trace.empty()) trace = weaker.trace;
  if (backups.empty()) backups = weaker.backups;
  detach = detach || weaker.detach;
  fail_on_reset = fail_on_reset || weaker.fail_on_reset;
}

namespace {

/// What the machine is made of, which would be gone before it was read.
void refuse_to_print_over(const std::filesystem::path& serial, const MachineConfig& config) {
  std::vector<std::filesystem::path> parts = {config.kernel, config.initrd};
  for (const DiskConfig& disk : config.disks) parts.push_back(disk.image);
  for (const auto& part : parts) {
    if (is_same_file(serial, part))
      throw UsageError("--serial file:{} would be written over {}: name another file", serial.string(), part.string());
  }
}

}  // namespace

MachineConfig machine_config(const RunOptions& options, bool json) {
  if (!options.kernel)
    throw UsageError("say which kernel to boot: --kernel FILE, or a line kernel = \"FILE\" in the --config file");
  MachineConfig config;
  config.name = options.name.value_or(fmt::format("vm-{}", ::getpid()));
  check_machine_name(config.name);
  config.kernel = absolute_or_none(options.kernel, "--kernel");
  config.initrd = absolute_or_none(options.initrd, "--initrd");
  config.append = options.append.value_or("");
  config.memory = checked_memory_size(options.memory.value_or(config.memory));
  config.cpus = checked_cpu_count(options.cpus.value_or(config.cpus));
  config.disks = options.disks;
  for (DiskConfig& disk : config.disks) make_absolute(disk);
  config.disk_directory = absolute_or_none(options.disk_directory, "--disk-dir");
  config.serial = serial_config(options.serial, options.detach, json);
  config.trace = parse_trace(options.trace);
  config.on_failure.fail_on_reset = options.fail_on_reset;
  if (options.on_panic) parse_on_panic(*options.on_panic, config.on_failure);
  return config;
}

void check_files(const MachineConfig& config) {
  refuse_doubles(config.disks);
  if (config.serial.kind == SerialKind::kFile) refuse_to_print_over(config.serial.path, config);
  if (!config.disk_directory.empty()) check_log_directory(config.disk_directory);
}

SerialConfig serial_config(const std::optional<std::string>& text, bool detach, bool json) {
  if (!text) return {detach || json ? SerialKind::kNull : SerialKind::kStdio, {}};
  SerialConfig serial = parse_serial(*text);
  const bool stdio = serial.kind == SerialKind::kStdio;
  if (stdio && detach)
    throw UsageError(
        "a detached machine has no terminal for --serial stdio: use --serial null, file:PATH or unix:PATH");
  if (stdio && json)
    throw UsageError(
        "--json needs stdout, so that --serial stdio cannot have it: use --serial null, file:PATH or unix:PATH");
  if (!serial.path.empty()) serial.path = absolute_path(serial.path, "--serial");
  if (serial.kind == SerialKind::kFile) check_may_be_replaced(serial.path);
  return serial;
}

}  // namespace tintype
