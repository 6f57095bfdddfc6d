// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vmm/cli/values.h"
#include "vmm/machine/machine.h"

namespace tintype {

class Cancellation;
class Output;
class VerbOptions;

/// What `restore` and `resume` have in common: a machine comes back from what was saved of it.
struct ReturnOptions {
  std::optional<std::string> name, memory_load, serial, on_panic, gdb;
  std::optional<std::filesystem::path> disk_directory;
  std::vector<std::string> trace;
  bool detach = false, fail_on_reset = false;

  void declare(VerbOptions& options, const char* disk_directory_help);

  /// UsageError for what is wrong whatever is going to come back.
  void check() const {
    static_cast<void>(chosen_memory_load());
    static_cast<void>(chosen_gdb());
  }
  /// Into options for the machine: RestoreOptions or ResumeOptions. `name_then`: the one it had. UsageError.
  template <typename Options>
  void fill(Options& options, const std::string& name_then, bool json) const {
    options.memory_load = chosen_memory_load();
    options.serial = chosen_serial(json);
    options.trace = chosen_trace();
    options.on_failure = chosen_on_failure();
    options.disk_directory = disk_directory.value_or("");
    options.name = checked_name(name_then);
  }

  /// Makes the machine and lets it run; returns the exit status. A signal ends the making between any two steps,
  /// with the sentence `interrupted`.
  int launch(const std::string& name, const char* interrupted,
             const std::function<std::unique_ptr<Machine>(const ProgressSink&)>& make, Output& output) const;

 private:
  std::optional<MemoryLoad> chosen_memory_load() const;
  SerialConfig chosen_serial(bool json) const;
  TraceConfig chosen_trace() const;
  FailurePolicy chosen_on_failure() const;
  GdbOption chosen_gdb() const;
  std::string checked_name(const std::string& name_then) const;
};

}  // namespace tintype
