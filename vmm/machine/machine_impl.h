// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <vector>

#include "checkpoint/capture/subject.h"
#include "checkpoint/state/platform_state.h"
#include "vmm/boot/load.h"
#include "vmm/kvm/system.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/platform.h"
#include "vmm/machine/processors.h"
#include "vmm/machine/virtio_devices.h"

namespace tintype {

/// The machine, put together. It wires everything in plain sight and knows three things: whether the guest runs, who
/// may stop it, and how it ended.
///
/// Locks, in this order: checkpoint_mutex_ (one checkpoint at a time), pause_mutex_ (who pauses and resumes the vCPUs;
/// a checkpoint holds it from pause() to resume()), state_mutex_ (the flags below it; held only shortly).
class Machine::Impl final : private VcpuEvents, private CaptureSubject {
 public:
  Impl(const MachineConfig& config, FileStart serial_start);
  ~Impl() override;
  static std::unique_ptr<Impl> restore(const RestoreOptions& options, const ProgressSink& progress);

  void load_kernel();

  const MachineConfig& config() const noexcept { return config_; }
  void start();
  MachineEnd wait();
  void pause_by_user();
  void resume_by_user();
  void stop(bool force, std::chrono::milliseconds patience);
  MachineStatus status() const;
  CheckpointReport checkpoint(const CheckpointOptions& options, const ProgressSink& progress);

 private:
  GuestRequests guest_requests();
  /// The machine ends, for the first reason that is given. Any thread; never blocks.
  void end(MachineEnd how) noexcept;
  bool has_ended() const;
  void close();

  // VcpuEvents: on vCPU threads.
  void on_crash(VcpuThread& thread, const std::string& why) noexcept override;
  void on_system_event(std::uint32_t type) noexcept override;
  void on_trace(VcpuThread& thread) noexcept override;

  // CaptureSubject: on the thread that takes a checkpoint.
  std::string name() const override { return config_.name; }
  MachineDescription describe() const override;
  GuestMemory& memory() override { return memory_; }
  std::span<FreezableDisk* const> disks() override { return virtio_.freezable(); }
  std::span<Stateful* const> states() override { return states_; }
  void pause() override;
  void freeze_devices() override;
  void thaw_devices() noexcept override;
  void resume() noexcept override;

  MachineConfig config_;
  const std::chrono::steady_clock::time_point created_ = std::chrono::steady_clock::now();
  GuestMemory memory_;  // before the VM: KVM refers to it
  KvmSystem system_;
  KvmVm vm_;
  Backplane backplane_;
  Platform platform_;
  VirtioDevices virtio_;
  IrqchipState irqchip_state_;
  PitState pit_state_;
  ClockState clock_state_;
  std::vector<LoadedPart> loaded_;  // for crash reports
  Processors processors_;           // after all that its threads use
  std::vector<Stateful*> states_;   // in the order of saving and restoring
  std::uint64_t restored_from_ = 0;

  std::mutex checkpoint_mutex_;
  std::mutex pause_mutex_;
  std::unique_lock<std::mutex> checkpoint_pause_;  // pause_mutex_, held by a checkpoint in its pause

  mutable std::mutex state_mutex_;  // guards all below
  std::condition_variable state_changed_;
  bool started_ = false;
  bool paused_by_user_ = false;
  bool checkpoint_running_ = false;
  std::optional<MachineEnd> end_;
};

}  // namespace tintype
