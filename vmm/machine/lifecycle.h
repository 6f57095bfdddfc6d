// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "checkpoint/backup/backup_service.h"
#include "checkpoint/capture/live_checkpoint.h"
#include "checkpoint/restore/disk_images.h"
#include "vmm/machine/debugger.h"
#include "vmm/machine/disk_watch.h"
#include "vmm/machine/errand.h"
#include "vmm/machine/guest.h"
#include "vmm/machine/harness.h"
#include "vmm/machine/inspector.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/mark.h"

namespace tintype {

class LeaseKeeper;
class ReturnTo;

/// The machine of KVM: a guest, and three things about it: whether it runs, who may stop it, and how it ended. What is
/// done with a machine has files of its own: checkpoints, going_back, suspension, machine_backups, standing_still,
/// panic, host_trouble, looking.
///
/// Locks, in this order: checkpoint_mutex_ (one checkpoint at a time), pause_mutex_ (who pauses and resumes the vCPUs;
/// a checkpoint holds it in its pause), state_mutex_ (the flags below it; held only shortly).
class Lifecycle final : public Machine, private VcpuEvents {
 public:
  Lifecycle(const MachineConfig& config, FileStart serial_start, VmShell shell = {});

  ~Lifecycle() override;

  /// To be given a kernel or a checkpoint, before start().
  Guest& guest() noexcept { return guest_; }
  /// Gives it a checkpoint, which was checked, whose memory comes while it runs. Before start().
  void restore_lazily(const CheckpointReader& checkpoint, std::shared_ptr<const BlockSource> memory,
                      const ProgressSink& progress);
  /// It has been given this checkpoint, and has its disks: its own next one builds on it. Before start().
  void begin_from(const ParentRef& checkpoint);
  /// Its disks, which stay only where it starts.
  void keep_when_started(std::shared_ptr<DiskImages> images) { images_ = std::move(images); }

  /// It has been given this saved state, and has its disks: it stays suspended until start(). Before that.
  void resumes_from(const std::filesystem::path& saved_state);

  const MachineConfig& config() const noexcept override { return guest_.config(); }
  void start() override;
  MachineEnd wait() override;
  void pause() override;
  void resume() override;
  void stop(bool force, std::chrono::milliseconds patience) override;
  MachineStatus status() const override;
  void look(const std::function<void(const Inspector& still)>& see) override;
  EventLog& events() noexcept override { return events_; }
  ConsoleLog& console() noexcept override { return guest_.platform().console().log(); }
  std::size_t type(std::span<const std::uint8_t> keys) noexcept override {
    return guest_.platform().console().type(keys);
  }
  MarkReport mark() override;
  ResetReport reset() override;
  ResetReport reset_to(const std::string& repository, std::uint64_t id, const ProgressSink& progress) override;
  CheckpointReport checkpoint(const CheckpointOptions& options, const ProgressSink& progress) override;
  SeriesReport checkpoint_series(const CheckpointOptions& options, const SeriesOptions& series,
                                 const ProgressSink& progress) override;
  SuspendReport suspend(const std::filesystem::path& directory, const ProgressSink& progress) override;
  void cancel_checkpoint() override;
  void run_by(std::shared_ptr<LeaseKeeper> right) override;
  void accompany(std::shared_ptr<void> companion) override;
  MachineDebug& debug() noexcept override { return *debugger_; }
  void wait_for_debugger() noexcept override { debugger_->hold_at_start(); }
  BackupService& backups() noexcept override { return backups_; }
  void attach_harness(const std::filesystem::path& area) override { harness_->attach(area); }

 private:
  /// The machine as a checkpoint sees it. On the thread that takes the checkpoint.
  class CapturedMachine final : public CaptureSubject {
   public:
    explicit CapturedMachine(Lifecycle& machine) : machine_(machine) {}
    std::string name() const override { return machine_.config().name; }
    MachineDescription describe() const override { return machine_.guest_.describe(); }
    GuestMemory& memory() override { return guest().memory(); }
    std::span<FreezableDisk* const> disks() override { return guest().virtio().freezable(); }
    std::span<Stateful* const> states() override { return guest().states(); }
    void pause() override;
    void freeze_devices() override { guest().backplane().freeze(); }
    void thaw_devices() noexcept override { guest().backplane().thaw(); }
    void resume() noexcept override;

   private:
    Guest& guest() noexcept { return machine_.guest_; }
    Lifecycle& machine_;
    std::unique_lock<std::mutex> pause_lock_;  // the machine's pause_mutex_, from pause() to resume()
  };

  /// What to do where another one has hold of the machine, or it has not started.
  enum class Patience : std::uint8_t { kRefuse, kWait };
  /// Of all that takes hold of a machine's state, one at a time: throws tintype::Error where another is under way (or
  /// waits for it), or the machine does not run.
  class OnlyOne {
   public:
    explicit OnlyOne(Lifecycle& machine, Patience patience = Patience::kRefuse);
    ~OnlyOne();
    OnlyOne(const OnlyOne&) = delete;
    OnlyOne& operator=(const OnlyOne&) = delete;

   private:
    Lifecycle& machine_;
    std::unique_lock<std::mutex> lock_;
  };
  /// The machine paused, its devices frozen, from beginning to end.
  class StandStill {
   public:
    explicit StandStill(Lifecycle& machine);
    ~StandStill();
    StandStill(const StandStill&) = delete;
    StandStill& operator=(const StandStill&) = delete;

   private:
    Lifecycle& machine_;
  };
  class Suspension;
  std::filesystem::path place_to_suspend(const std::filesystem::path& directory) const;
  void leave_suspension();
  Mark::Return go_back();
  Mark::Return go_to(ReturnTo& way);
  /// Tells whoever follows the machine how its checkpoint goes, and how it went.
  template <typename Take>
  auto with_events(const ProgressSink& progress, Take take, Patience patience);
  CheckpointReport take_checkpoint(const CheckpointOptions& options, const ProgressSink& progress, Patience patience);
  Inspector::Subject standing_still(std::uint64_t& moves);
  void announce(EventKind kind, const std::string& reason = {}) noexcept;
  BackupMeans backup_means();
  CheckpointReport back_up(const std::filesystem::path& repository);
  std::unique_ptr<BackupPlace> backup_place(const BackupPlan& plan);
  std::string witness_asked(const std::string& witness);
  void keep_right(std::shared_ptr<LeaseKeeper> right);
  /// It goes on when all who had it stand still have let it.
  void stand_still_for(const void* who, const std::string& why);
  void go_on_for(const void* who);
  void say_that_it_stands_still(const std::string& why);
  /// The same as mark() and reset(); `then` is done before the CPUs go on.
  MarkReport mark_and(const OnlyOne& only, const std::function<void()>& then);
  ResetReport reset_and(const OnlyOne& only, const std::function<void()>& then);
  std::unique_ptr<Harness> make_harness();
  GuestRequests guest_requests();
  /// The machine ends, for the first reason that is given. Any thread; never blocks.
  void end(MachineEnd how) noexcept;
  bool has_ended() const;

  // The guest's kernel panics.
  void on_panic(Pvpanic::Event event) noexcept;
  void photograph_panic();
  MachineEnd panic_end(const std::string& note) const;
  void pause_because(const std::string& reason);
  /// The same, with the pause's mutex.
  void pause_now(const std::string& reason);

  /// With the pause's mutex: parked, whatever a checkpoint does.
  bool is_held() const noexcept { return paused_by_user_ || !stands_still_.empty() || debugger_->holds(); }
  /// With the pause's mutex: returns when all vCPUs are parked, and memory is as the guest has it.
  void park();
  /// Waits for it. Returns how the machine ends where the guest does not do it.
  std::string ask_to_power_off(std::unique_lock<std::mutex>& state_lock, std::chrono::milliseconds patience);
  void close();

  // A lazy restore.
  void on_load_failure(const std::string& why) noexcept;
  void stall() noexcept;
  bool stalls() const;
  void retry_load();
  void finish_load(const ProgressSink& progress);

  // Disks whose errors stop the machine.
  void watch_disks();
  void on_disk_trouble() noexcept;
  void let_disks_go_on() noexcept;
  void complete_disks_now() noexcept;

  Debugger::Means debugger_means();
  void hold_for_debugger(const std::function<void()>& then);
  void release_by_debugger(const std::function<void()>& then);

  // VcpuEvents: on vCPU threads.
  void before_run(VcpuThread& thread) override { debugger_->before_run(thread); }
  bool on_debug_exit(VcpuThread& thread) override { return debugger_->take_exit(thread); }
  void on_crash(VcpuThread& thread, const std::string& why) noexcept override;
  void on_system_event(std::uint32_t type) noexcept override;
  void on_trace(VcpuThread& thread) noexcept override;

  const std::chrono::steady_clock::time_point created_ = std::chrono::steady_clock::now();
  std::uint64_t restored_from_ = 0;  ///< until start()
  EventLog events_;

  std::mutex checkpoint_mutex_;
  std::mutex pause_mutex_;

  mutable std::mutex state_mutex_;  // guards the flags
  std::condition_variable state_changed_;
  bool started_ = false;
  bool paused_by_user_ = false;
  std::vector<std::pair<const void*, std::string>> stands_still_;  ///< who says so, and why, last the latest
  bool checkpoint_running_ = false;
  std::optional<MachineEnd> end_;
  bool stalls_ = false;      ///< memory could not be read
  bool suspending_ = false;  ///< nobody lets it run on meanwhile

  std::atomic<bool> panicked_ = false;  ///< and nobody has let it run on, or put it back

  // Guarded by checkpoint_mutex_.
  bool all_loaded_ = true;                 // and where the next checkpoint builds on one, it knows what is as saved
  bool builds_on_checkpoint_ = false;      // its first one does
  std::filesystem::path suspended_state_;  // until start(): what it resumes from

  DiskWatch disk_watch_{[this] { on_disk_trouble(); }};
  std::unique_ptr<Harness> harness_;
  std::unique_ptr<Debugger> debugger_;
  std::shared_ptr<DiskImages> images_;  ///< until start()
  Guest guest_;                         // after all that its threads call, and after the images that it has open
  std::unique_ptr<Mark> mark_;          // guarded by checkpoint_mutex_, as is the next
  std::uint64_t resets_ = 0;
  CapturedMachine captured_{*this};
  Checkpointer checkpointer_{captured_};
  std::vector<std::shared_ptr<void>> companions_;   // guarded by state_mutex_
  std::mutex rights_mutex_;                         // guards the next two
  std::string witness_identity_;                    ///< of the one that was asked
  std::vector<std::weak_ptr<LeaseKeeper>> rights_;  ///< to run, of a machine with a witness: companions
  // Last: their threads use all of the above.
  BackupService backups_{backup_means()};
  ErrandThread errands_;
};

}  // namespace tintype
