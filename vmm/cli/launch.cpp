// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/launch.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "checkpoint/backup/backup_service.h"
#include "checkpoint/format/manifest.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/cli/detach.h"
#include "vmm/cli/output.h"
#include "vmm/cli/stop_signals.h"
#include "vmm/control/end_record.h"
#include "vmm/control/machine_methods.h"
#include "vmm/control/runtime_directory.h"
#include "vmm/control/server.h"
#include "vmm/gdb/live_server.h"

namespace tintype {

namespace {

namespace fs = std::filesystem;

fs::path log_path(const std::string& name) { return runtime_directory() / (name + ".log"); }

/// Another of this user's directories may have a machine of that name; which of them would be meant then?
void refuse_name_in_use(const std::string& name) {
  const auto elsewhere = directory_of_machine(name);
  if (!elsewhere || *elsewhere == runtime_directory()) return;  // there the claim decides
  throw Error(
      "a machine named {} is running already (process {}, in {}): choose another --name, or end it with `tintype stop "
      "{}`",
      name, pid_of_name_holder(*elsewhere, name), elsewhere->string(), name);
}

/// What the guest printed last, for who comes after its end.
void keep_console(const std::string& name, ConsoleLog& console) noexcept {
  try {
    write_kept_console(runtime_directory(), name, console.read(0, ConsoleLog::kCapacity).bytes);
  } catch (const std::exception& failure) {
    log_note("what the guest of {} printed cannot be kept: {}", name, failure.what());
  }
}

bool remove_empty_log(const std::string& name) {
  std::error_code missing;
  return fs::file_size(log_path(name), missing) == 0 && fs::remove(log_path(name), missing);
}

/// The last machine of that name: how it ended is of no interest any more, what it said is kept once.
void forget_predecessor(const std::string& name) {
  remove_end_record(runtime_directory(), name);
  std::error_code missing;
  if (!remove_empty_log(name)) fs::rename(log_path(name), log_path(name) += ".1", missing);
}

void print_crash(const MachineEnd& end) {
  if (end.crash_report.empty()) return;
  std::fputs(end.crash_report.c_str(), stderr);
  if (end.crash_report.back() != '\n') std::fputc('\n', stderr);
}

/// gdb may come from now on, until the machine has ended.
void await_gdb(Machine& machine, const GdbOption& gdb) {
  const auto server = std::make_shared<LiveGdbServer>(machine, gdb.address, "--gdb");
  machine.accompany(server);
  if (gdb.waits) machine.wait_for_debugger();
  if (gdb.waits || gdb.address.ends_with(":0") || gdb.address == "0")
    log_note("{}: in gdb, target remote {}", machine.config().name, server->address());
}

/// Runs the machine to its end in this process. `on_running` is called when its vCPUs have been let go, `on_end` when
/// it has ended, while the name is still held.
MachineEnd run_to_end(const Launch& launch, const StopSignals& signals, const std::function<void()>& on_running,
                      const std::function<void(Machine&, const MachineEnd&)>& on_end) {
  refuse_name_in_use(launch.name);
  NameClaim claim(runtime_directory(), launch.name);
  const int launcher = launch.detach ? ::getppid() : 0;  // can keep it from running, and no more; unless it was init
  Cancellation cancelled;                                // of all that comes before it runs
  std::unique_ptr<Machine> machine;                      // outlives the watch, which may be stopping it
  std::atomic<Machine*> running = nullptr;
  const StopWatch watch(signals, [&](const StopRequest& request) {
    cancelled.request();
    Machine* const it = running;
    const bool too_late = launcher > 1 && request.sender == launcher;
    if (it != nullptr && !too_late) it->stop(request.force);
  });
  machine = launch.make(cancelled);
  MachineMethods methods(*machine);
  ControlServer server(claim.socket_path(), methods);
  if (!launch.gdb.address.empty()) await_gdb(*machine, launch.gdb);
  for (const BackupPlan& plan : launch.backups) machine->backups().start(plan);  // it may be that it must not run
  if (cancelled.requested()) throw Cancelled("the machine was stopped before it ran");
  forget_predecessor(launch.name);
  machine->start();  // uses up what a suspended machine is resumed from: from here on it runs, whoever was too late
  on_running();
  running = machine.get();
  if (cancelled.requested() && !launch.detach) machine->stop(false);
  MachineEnd end = machine->wait();
  print_crash(end);
  on_end(*machine, end);
  claim.release();  // before the server hangs up, which tells whoever asked for the end that nothing is left
  return end;
}

int run_in_foreground(const Launch& launch, const StopSignals& signals, Output& output) {
  const MachineEnd end = run_to_end(
      launch, signals, [] {}, [](Machine&, const MachineEnd&) {});
  nlohmann::json result = {{"name", launch.name}, {"exit_code", end.exit_code}, {"reason", end.reason}};
  if (!end.crash_report.empty()) result["crash_report"] = end.crash_report;
  output.result(result);
  return end.exit_code;
}

/// Until it ends otherwise. Without it nobody learns that it was killed, and that is all.
void leave_record_of_killed(const std::string& name) noexcept {
  try {
    EndRecord record = record_of_killed(name);
    record.log = log_path(name).string();
    write_end_record(runtime_directory(), record);
  } catch (const std::exception&) {
    remove_end_record(runtime_directory(), name);
  }
}

/// Nobody waits for a detached machine. Its log stays only where there is something in it.
void leave_record(const std::string& name, const MachineEnd& end) {
  EndRecord record;
  record.name = name;
  record.exit_code = static_cast<std::uint32_t>(end.exit_code);
  record.reason = end.reason;
  record.ended = utc_time_text();
  if (!remove_empty_log(name)) record.log = log_path(name).string();
  try {
    write_end_record(runtime_directory(), record);
  } catch (const std::exception& failure) {  // the machine has ended all the same
    log_note("how the machine {} ended cannot be kept: {}", name, failure.what());
  }
}

int run_as_child(const Launch& launch, const StopSignals& signals, Detachment& detachment) {
  bool reported = false;
  const auto on_running = [&] {
    leave_record_of_killed(launch.name);
    detachment.report_running(log_path(launch.name));
    reported = true;
  };
  try {
    const auto on_end = [&](Machine& machine, const MachineEnd& end) {
      keep_console(launch.name, machine.console());
      leave_record(launch.name, end);
    };
    return run_to_end(launch, signals, on_running, on_end).exit_code;
  } catch (const std::exception& failure) {
    if (reported) throw;
    detachment.report_failure(failure.what(), dynamic_cast<const UsageError*>(&failure) != nullptr);
    return 1;
  }
}

/// Until the machine runs, who tells this process to stop means the machine: it is told, and says how that went.
int announce_child(const Launch& launch, const StopSignals& signals, Detachment& detachment, Output& output) {
  std::atomic<bool> told = false;
  {
    const StopWatch watch(signals, [&](const StopRequest&) {
      told = true;
      ::kill(detachment.child(), SIGTERM);
    });
    detachment.wait_until_running();
  }
  if (told)
    log_note("the machine {} runs: it was too late to stop it; `tintype stop {}` ends it", launch.name, launch.name);
  output.line("{}", launch.name);
  output.result({{"name", launch.name}, {"pid", detachment.child()}});
  return 0;
}

struct Child {
  const Launch& launch;
  std::unique_ptr<Detachment> detachment;
};

int announce_children(const std::vector<Child>& children, Output& output) {
  nlohmann::json machines = nlohmann::json::array();
  std::string failure;
  for (const Child& child : children) {
    try {
      child.detachment->wait_until_running();
      machines.push_back({{"name", child.launch.name}, {"pid", child.detachment->child()}});
    } catch (const std::exception& error) {
      if (failure.empty()) failure = fmt::format("{}: {}", child.launch.name, error.what());
    }
  }
  if (!failure.empty()) {
    throw Error("{} (of {} machines {} run: `tintype list` shows them)", failure, children.size(), machines.size());
  }
  for (const auto& machine : machines) output.line("{}", machine.at("name").get<std::string>());
  output.result({{"machines", machines}});
  return 0;
}

}  // namespace

// A child has the pipes of those before it, which it closes, or nobody would see these end.
int launch_side_by_side(std::span<const Launch> launches, Output& output) {
  const StopSignals signals;
  std::vector<Child> children;
  for (const Launch& launch : launches) {
    auto detachment = std::make_unique<Detachment>();
    if (!detachment->is_parent()) {
      children.clear();
      return run_as_child(launch, signals, *detachment);
    }
    children.push_back({launch, std::move(detachment)});
  }
  return announce_children(children, output);
}

int launch(const Launch& launch, Output& output) {
  const StopSignals signals;
  if (!launch.detach) return run_in_foreground(launch, signals, output);
  Detachment detachment;
  return detachment.is_parent() ? announce_child(launch, signals, detachment, output)
                                : run_as_child(launch, signals, detachment);
}

}  // namespace tintype
