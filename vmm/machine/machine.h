// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/backup/plan.h"
#include "checkpoint/capture/options.h"
#include "checkpoint/capture/series.h"
#include "checkpoint/format/block_source.h"
#include "checkpoint/format/report.h"
#include "devices/console_log.h"
#include "vmm/base/progress.h"
#include "vmm/machine/config.h"
#include "vmm/machine/event_log.h"

namespace tintype {

class BackupService;
class Inspector;
class LeaseKeeper;
class MachineDebug;

enum class RunState : std::uint8_t { kCreated, kRunning, kPaused, kStopped };

template <>
inline constexpr auto kWords<RunState> = std::to_array<Word<RunState>>({{RunState::kCreated, "created"},
                                                                        {RunState::kRunning, "running"},
                                                                        {RunState::kPaused, "paused"},
                                                                        {RunState::kStopped, "stopped"}});

/// Memory of a restored machine that is still being brought in.
struct LoadStatus {
  std::uint64_t bytes_left = 0, bytes_total = 0;
  std::string problem;  ///< why it cannot be: then the machine is paused. Empty where it can
};

/// What the guest has asked of a disk since the machine began.
struct DiskTraffic {
  std::uint64_t reads = 0, writes = 0;  ///< requests; those that write zeros, or discard, are writes
  std::uint64_t bytes_read = 0, bytes_written = 0;
};

/// How often a guest left KVM for one reason; or how often it read or wrote a device, which one exit may do many times.
struct ExitCount {
  std::string name;  ///< as in exit_name(); or the device's on its bus
  std::uint64_t count = 0;
  bool operator==(const ExitCount&) const = default;
};

struct MachineStatus {
  RunState state = RunState::kCreated;
  std::string end_reason;  ///< as in MachineEnd, where it has ended
  bool checkpoint_running = false;
  std::uint64_t uptime_ms = 0;
  std::uint64_t exits = 0;                                  ///< KVM exits to user space, all vCPUs
  std::vector<ExitCount> exits_by_reason, exits_by_device;  ///< those that there were, the most frequent first
  std::optional<std::uint64_t> interrupts;   ///< that the CPUs were given; nothing where KVM does not count them
  std::optional<std::uint64_t> page_faults;  ///< of the CPUs, that KVM mended; likewise
  std::uint64_t restored_from = 0;           ///< id of the checkpoint; 0: booted
  std::optional<LoadStatus> load;            ///< nothing where all memory is there
  /// Numbers of the disks whose writes wait until there is room for their redo logs.
  std::vector<std::size_t> disks_without_room;
  /// A disk that the host cannot read or write: the machine is paused, and its requests wait until it is continued. Or
  /// one whose image cannot be made whole, which is tried again meanwhile: the machine may run.
  struct DiskProblem {
    std::size_t number = 0;
    std::string problem;
  };
  std::vector<DiskProblem> disk_problems;
  std::vector<DiskTraffic> disk_traffic;           ///< by disk
  std::vector<std::filesystem::path> disk_images;  ///< by disk: where it lies; of one without a name, for messages
  std::vector<BackupStatus> backups;
  std::string stands_still;  ///< why it may not run on, whatever its user says; empty where it may
  bool in_debugger = false;  ///< it stands still for a debugger
};

/// A mark was set, to which the machine can go back.
struct MarkReport {
  std::uint64_t pause_us = 0;
};

/// The machine went back to it.
struct ResetReport {
  std::uint64_t pages = 0;  ///< of memory, that had been written since
  bool disks = false;       ///< a disk had been written to
  std::uint64_t pause_us = 0;
  std::uint64_t resets = 0;  ///< of this mark, this one included; 0 where it was a checkpoint
  std::uint64_t id = 0;      ///< of the checkpoint, where it was one
};

/// Where a machine is that was suspended.
struct SuspendReport {
  std::filesystem::path state;      ///< the directory that resume_machine() takes
  std::uint64_t bytes_written = 0;  ///< of memory
};

/// How a machine ended. `exit_code` is what `tintype run` returns: the guest's debug-exit code, 0 on power-off or stop,
/// 1 on a crash or a panic.
struct MachineEnd {
  int exit_code = 0;
  std::string reason;        ///< "power-off", "debug-exit 3", "reset", "stopped", "cut off: ...", "crash", "panic", ...
  std::string crash_report;  ///< several lines, empty unless the guest crashed or panicked
};

/// The reason where the guest resets the machine, which ends it.
inline constexpr std::string_view kResetReason = "reset";
/// The reason where it was suspended.
inline constexpr std::string_view kSuspendedReason = "suspended";

/// The reason where the guest's kernel says that it panics.
inline constexpr std::string_view kPanicReason = "panic";

/// When memory is read: while the machine runs, or before it does.
enum class MemoryLoad : std::uint8_t { kLazy, kEager };

template <>
inline constexpr auto kWords<MemoryLoad> = std::to_array<Word<MemoryLoad>>({{MemoryLoad::kLazy, "lazy"},
                                                                            {MemoryLoad::kEager, "eager"}});

struct RestoreOptions {
  std::string repository;
  std::uint64_t id = 0;                   ///< 0: the newest
  std::string name;                       ///< empty: the name it had
  std::filesystem::path disk_directory;   ///< where the restored disks go; empty: the current one
  std::optional<MemoryLoad> memory_load;  ///< nothing: lazy where the host can
  SerialConfig serial;
  TraceConfig trace;
  FailurePolicy on_failure;
  /// What tests turn: memory and disks of the checkpoint, read in another way.
  std::function<std::shared_ptr<const BlockSource>(std::shared_ptr<const BlockSource>)> wrap_memory, wrap_disk;
};

struct ResumeOptions {
  std::filesystem::path directory;        ///< the saved state, or a directory in which there is one
  std::string name;                       ///< empty: the name it had
  std::filesystem::path disk_directory;   ///< where redo logs go; empty: beside each image
  std::optional<MemoryLoad> memory_load;  ///< nothing: lazy where the host can
  SerialConfig serial;
  TraceConfig trace;
  FailurePolicy on_failure;
};

/// A virtual machine, as the control socket and the command line see it. Every method may be called from any thread.
class Machine {
 public:
  virtual ~Machine() = default;

  virtual const MachineConfig& config() const noexcept = 0;

  /// Lets the vCPUs run.
  virtual void start() = 0;
  /// Waits until the machine has ended, then closes the disks.
  virtual MachineEnd wait() = 0;

  /// Parks all vCPUs with no exit half-done; returns when they are parked. Idempotent. Waits while a checkpoint is in
  /// its pause.
  virtual void pause() = 0;
  /// Where the machine stands because its memory could not be read, that is tried again first; throws what it throws.
  virtual void resume() = 0;
  /// Asks the guest to power off by the ACPI button where it listens (and waits up to `patience`), else or with `force`
  /// ends it, and a checkpoint that is under way with it.
  virtual void stop(bool force, std::chrono::milliseconds patience = std::chrono::seconds(10)) = 0;

  virtual MachineStatus status() const = 0;

  /// Lets `see` look at the machine as it stands. Error where it runs, is still to start, has ended, or its memory
  /// cannot be read; and afterwards where somebody let it run on meanwhile, or put it back.
  virtual void look(const std::function<void(const Inspector& still)>& see) = 0;

  /// What happened to it.
  virtual EventLog& events() noexcept = 0;
  /// What the guest printed.
  virtual ConsoleLog& console() noexcept = 0;
  /// Types at its serial line, beside what that is connected to; returns how many bytes there was room for.
  virtual std::size_t type(std::span<const std::uint8_t> keys) noexcept = 0;

  /// Notes this instant of the machine, in memory, in place of one that was noted before, which stays where this fails.
  /// Not while a checkpoint is taken.
  virtual MarkReport mark() = 0;
  /// Back to it: memory, CPUs, interrupt controllers, timers, devices, and disks, whose writes since are dropped. A
  /// paused machine stays paused. Throws tintype::Error where there is no mark.
  virtual ResetReport reset() = 0;
  /// The same to a checkpoint (0: the newest) of such a machine as this; its mark is gone then. All of the checkpoint
  /// is checked before anything changes. Throws tintype::Error.
  virtual ResetReport reset_to(const std::string& repository, std::uint64_t id, const ProgressSink& progress) = 0;

  /// Marks and resets that the guest asks for by its harness port get their inputs from this shared area
  /// (tools/harness/README.md). Throws tintype::Error.
  virtual void attach_harness(const std::filesystem::path& area) = 0;

  /// Takes a live checkpoint; returns when it is sealed. One at a time: a second call throws tintype::Error. Works on a
  /// paused machine as well, which stays paused.
  virtual CheckpointReport checkpoint(const CheckpointOptions& options, const ProgressSink& progress) = 0;
  /// Takes a series of them, as one checkpoint that is under way; cancelled, it returns what it has done.
  virtual SeriesReport checkpoint_series(const CheckpointOptions& options, const SeriesOptions& series,
                                         const ProgressSink& progress) = 0;
  /// Saves the machine beside its disks (or to `directory`, where that is not empty) and ends it: whole, or not at all;
  /// then it runs on, and this throws why. Ended when this returns.
  virtual SuspendReport suspend(const std::filesystem::path& directory, const ProgressSink& progress) = 0;
  /// The checkpoint that is under way ends at once, whatever its destination does, and its caller is told so. Throws
  /// tintype::Error where there is none.
  virtual void cancel_checkpoint() = 0;

  /// It stands still, whatever its user says, while the right to run it is in doubt, and lets go of it when it has
  /// ended.
  virtual void run_by(std::shared_ptr<LeaseKeeper> right) = 0;
  /// Lives until the machine has ended, and is gone before the machine is.
  virtual void accompany(std::shared_ptr<void> companion) = 0;

  /// For a debugger, of which there is one at a time.
  virtual MachineDebug& debug() noexcept = 0;
  /// Before start(): it stands at its first instruction until a debugger has come and lets it run.
  virtual void wait_for_debugger() noexcept = 0;

  /// Backups on a schedule, which go on until they are stopped or the machine ends.
  virtual BackupService& backups() noexcept = 0;
};

/// Builds a machine and loads its kernel. Nothing runs yet. Throws tintype::Error for what the user can mend.
std::unique_ptr<Machine> boot_machine(const MachineConfig& config);
/// Checks everything in the checkpoint first, then builds the machine from it. Nothing runs yet.
std::unique_ptr<Machine> restore_machine(const RestoreOptions& options, const ProgressSink& progress);

/// A suspended machine, on its own disks. It stays suspended until it is started, and is not from then on.
std::unique_ptr<Machine> resume_machine(const ResumeOptions& options, const ProgressSink& progress);

}  // namespace tintype
