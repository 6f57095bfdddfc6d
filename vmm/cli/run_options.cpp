// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/run_options.h"

#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/cli/values.h"
#include "vmm/control/runtime_directory.h"

namespace tintype {

namespace {

template <typename T>
void fill(std::optional<T>& mine, const std::optional<T>& weaker) {
  if (!mine) mine = weaker;
}

std::filesystem::path absolute_or_empty(const std::optional<std::string>& path) {
  if (!path) return {};
  if (path->empty()) throw UsageError("the name of a file or directory cannot be empty");
  return std::filesystem::absolute(*path).lexically_normal();
}

}  // namespace

void RunOptions::fill_from(const RunOptions& weaker) {
  fill(kernel, weaker.kernel);
  fill(initrd, weaker.initrd);
  fill(append, weaker.append);
  fill(name, weaker.name);
  fill(disk_directory, weaker.disk_directory);
  fill(serial, weaker.serial);
  fill(memory, weaker.memory);
  fill(cpus, weaker.cpus);
  if (disks.empty()) disks = weaker.disks;
  if (trace.empty()) trace = weaker.trace;
  detach = detach || weaker.detach;
}

MachineConfig machine_config(const RunOptions& options, bool json) {
  if (!options.kernel)
    throw UsageError("say which kernel to boot: --kernel FILE, or a line kernel = \"FILE\" in the --config file");
  MachineConfig config;
  config.name = options.name.value_or(fmt::format("vm-{}", ::getpid()));
  check_machine_name(config.name);
  config.kernel = absolute_or_empty(options.kernel);
  config.initrd = absolute_or_empty(options.initrd);
  config.append = options.append.value_or("");
  config.memory = checked_memory_size(options.memory.value_or(config.memory));
  config.cpus = checked_cpu_count(options.cpus.value_or(config.cpus));
  config.disks = options.disks;
  for (DiskConfig& disk : config.disks) disk.image = std::filesystem::absolute(disk.image).lexically_normal();
  config.disk_directory = absolute_or_empty(options.disk_directory);
  config.serial = serial_config(options.serial, options.detach, json);
  config.trace = parse_trace(options.trace);
  return config;
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
  if (!serial.path.empty()) serial.path = std::filesystem::absolute(serial.path).lexically_normal();
  return serial;
}

}  // namespace tintype
