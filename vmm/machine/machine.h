// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "checkpoint/report.h"
#include "vmm/machine/config.h"

namespace tintype {

enum class RunState : std::uint8_t { kCreated, kRunning, kPaused, kStopped };

template <>
inline constexpr auto kWords<RunState> = std::to_array<Word<RunState>>({{RunState::kCreated, "created"},
                                                                        {RunState::kRunning, "running"},
                                                                        {RunState::kPaused, "paused"},
                                                                        {RunState::kStopped, "stopped"}});

struct MachineStatus {
  RunState state = RunState::kCreated;
  bool checkpoint_running = false;
  std::uint64_t uptime_ms = 0;
  std::uint64_t exits = 0;          ///< KVM exits to user space, all vCPUs
  std::uint64_t restored_from = 0;  ///< id of the checkpoint; 0: booted
};

/// How a machine ended. `exit_code` is what `tintype run` returns: the guest's debug-exit code, 0 on power-off or stop,
/// 1 on a crash.
struct MachineEnd {
  int exit_code = 0;
  std::string reason;        ///< "power-off", "debug-exit 3", "reset", "stopped", "crash", ...
  std::string crash_report;  ///< several lines, empty unless the guest crashed
};

struct RestoreOptions {
  std::string repository;
  std::uint64_t id = 0;                  ///< 0: the newest
  std::string name;                      ///< empty: the name it had
  std::filesystem::path disk_directory;  ///< where the restored disks go; empty: beside the images they had
  SerialConfig serial;
  TraceConfig trace;
};

/// A virtual machine: guest memory, vCPUs, devices and disks, wired in plain sight. The public face for the control
/// socket and the command line; every method may be called from any thread.
class Machine {
 public:
  /// Builds the machine and loads the kernel. Nothing runs yet. Throws tintype::Error for what the user can mend.
  static std::unique_ptr<Machine> boot(const MachineConfig& config);
  /// Checks everything in the checkpoint first, then builds the machine from it. Nothing runs yet.
  static std::unique_ptr<Machine> restore(const RestoreOptions& options, const ProgressSink& progress);
  ~Machine();

  const MachineConfig& config() const noexcept;

  /// Lets the vCPUs run.
  void start();
  /// Waits until the machine has ended, then closes the disks.
  MachineEnd wait();

  /// Parks all vCPUs with no exit half-done; returns when they are parked. Idempotent. Error while a checkpoint is in
  /// its pause.
  void pause();
  void resume();
  /// Asks the guest to power off by the ACPI button where it listens (and waits up to `patience`), else or with `force`
  /// ends it.
  void stop(bool force, std::chrono::milliseconds patience = std::chrono::seconds(10));

  MachineStatus status() const;

  /// Takes a live checkpoint; returns when it is sealed. One at a time: a second call throws tintype::Error. Works on a
  /// paused machine as well, which stays paused.
  CheckpointReport checkpoint(const CheckpointOptions& options, const ProgressSink& progress);

 private:
  class Impl;
  explicit Machine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tintype
