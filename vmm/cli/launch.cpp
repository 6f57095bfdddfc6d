// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/launch.h"

#include <unistd.h>

#include <cstdio>

#include <nlohmann/json.hpp>

#include "vmm/base/error.h"
#include "vmm/cli/detach.h"
#include "vmm/cli/output.h"
#include "vmm/cli/stop_signals.h"
#include "vmm/control/machine_methods.h"
#include "vmm/control/runtime_directory.h"
#include "vmm/control/server.h"

namespace tintype {

namespace {

std::filesystem::path log_path(const std::string& name) { return runtime_directory() / (name + ".log"); }

void print_crash(const MachineEnd& end) {
  if (end.crash_report.empty()) return;
  std::fputs(end.crash_report.c_str(), stderr);
  if (end.crash_report.back() != '\n') std::fputc('\n', stderr);
}

/// Runs the machine to its end in this process. `on_running` is called when its vCPUs have been let go, `on_end` when
/// it has ended, while the name is still held.
MachineEnd run_to_end(const Launch& launch, const std::function<void()>& on_running,
                      const std::function<void()>& on_end) {
  StopSignals signals;
  const NameClaim claim(runtime_directory(), launch.name);
  const std::unique_ptr<Machine> machine = launch.make();
  MachineMethods methods(*machine);
  ControlServer server(claim.socket_path(), methods);
  const StopWatch watch(signals, [&machine](bool force) { machine->stop(force); });
  machine->start();
  on_running();
  const MachineEnd end = machine->wait();
  print_crash(end);
  on_end();
  return end;
}

int run_in_foreground(const Launch& launch, Output& output) {
  const MachineEnd end = run_to_end(
      launch, [] {}, [] {});
  nlohmann::json result = {{"name", launch.name}, {"exit_code", end.exit_code}, {"reason", end.reason}};
  if (!end.crash_report.empty()) result["crash_report"] = end.crash_report;
  output.result(result);
  return end.exit_code;
}

/// What became of a detached machine can be read in its log; one that had nothing to say leaves none.
void remove_empty_log(const std::string& name) {
  std::error_code ignored;
  if (std::filesystem::file_size(log_path(name), ignored) == 0) std::filesystem::remove(log_path(name), ignored);
}

int run_as_child(const Launch& launch, Detachment& detachment) {
  bool reported = false;
  const auto on_running = [&] {
    detachment.report_running(log_path(launch.name));
    reported = true;
  };
  try {
    return run_to_end(launch, on_running, [&] { remove_empty_log(launch.name); }).exit_code;
  } catch (const std::exception& failure) {
    if (reported) throw;
    detachment.report_failure(failure.what(), dynamic_cast<const UsageError*>(&failure) != nullptr);
    return 1;
  }
}

int announce_child(const Launch& launch, Detachment& detachment, Output& output) {
  detachment.wait_until_running();
  output.line("{}", launch.name);
  output.result({{"name", launch.name}, {"pid", detachment.child()}});
  return 0;
}

}  // namespace

int launch(const Launch& launch, Output& output) {
  if (!launch.detach) return run_in_foreground(launch, output);
  Detachment detachment;
  return detachment.is_parent() ? announce_child(launch, detachment, output) : run_as_child(launch, detachment);
}

}  // namespace tintype
