// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdlib>

#include "checkpoint/backup/backup_service.h"
#include "vmm/machine/inspector.h"
#include "vmm/machine/machine.h"

namespace tintype {

/// A machine without KVM: what the test lets it do, and what it saw.
class FakeMachine final : public Machine {
 public:
  FakeMachine();

  const MachineConfig& config() const noexcept override { return config_; }
  void start() override {}
  MachineEnd wait() override { return {}; }
  void pause() override;
  void resume() override;
  void stop(bool force, std::chrono::milliseconds patience) override;
  MachineStatus status() const override;
  void look(const std::function<void(const Inspector& still)>& see) override;
  EventLog& events() noexcept override { return event_log; }
  ConsoleLog& console() noexcept override { return console_log; }
  std::size_t type(std::span<const std::uint8_t> keys) noexcept override;
  MarkReport mark() override { return {17}; }
  ResetReport reset() override { return {64, true, 42, 1}; }
  ResetReport reset_to(const std::string&, std::uint64_t id, const ProgressSink&) override {
    return {8, true, 43, 0, id};
  }
  SuspendReport suspend(const std::filesystem::path&, const ProgressSink&) override { return {"/state", 4096}; }
  CheckpointReport checkpoint(const CheckpointOptions& options, const ProgressSink& progress) override;
  SeriesReport checkpoint_series(const CheckpointOptions& options, const SeriesOptions& series,
                                 const ProgressSink& progress) override;
  void attach_harness(const std::filesystem::path&) override {}
  void cancel_checkpoint() override { ++cancels; }
  void run_by(std::shared_ptr<LeaseKeeper>) override {}
  void accompany(std::shared_ptr<void>) override {}
  MachineDebug& debug() noexcept override { std::abort(); }  // no test comes here
  void wait_for_debugger() noexcept override {}
  BackupService& backups() noexcept override { return backups_; }

  std::atomic<int> pauses = 0;
  std::atomic<int> resumes = 0;
  std::atomic<int> cancels = 0;
  std::atomic<int> checkpoints = 0;           ///< finished
  std::atomic<int> checkpoint_steps = 0;      ///< progress events of one checkpoint
  std::atomic<int> step_ms = 0;               ///< time that each takes
  std::atomic<bool> checkpoint_held = false;  ///< a checkpoint waits until this is false again
  std::atomic<bool> checkpoint_running = false;
  std::atomic<bool> without_room = false;  ///< disk0's writes wait
  EventLog event_log;
  ConsoleLog console_log;
  std::string typed;
  CheckpointOptions last_options;
  SeriesOptions last_series;

 private:
  MachineConfig config_;
  std::atomic<RunState> state_ = RunState::kRunning;
  BackupService backups_{
      {[](const std::filesystem::path&) { return CheckpointReport(); },
       [](const BackupPlan& plan) { return make_repository_place(plan.to, "fake"); },
       [](const std::vector<std::string>&, const std::atomic<bool>&) { return std::string("good"); }}};
};

}  // namespace tintype
