// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/restore/lazy_load.h"
#include "checkpoint/restore/memory_image.h"
#include "checkpoint/state/platform_state.h"
#include "checkpoint/store/checkpoint_reader.h"
#include "vmm/base/progress.h"
#include "vmm/boot/load.h"
#include "vmm/kvm/system.h"
#include "vmm/machine/platform.h"
#include "vmm/machine/processors.h"
#include "vmm/machine/virtio_devices.h"
#include "vmm/machine/vm_shell.h"

namespace tintype {

/// What a machine is made of: guest memory, KVM's virtual machine, vCPUs, devices and disks, wired in plain sight. It
/// knows nothing of who runs, pauses and ends it: that is the lifecycle's.
class Guest {
 public:
  Guest(const MachineConfig& config, FileStart serial_start, const GuestRequests& requests, VcpuEvents& events,
        VmShell shell);
  ~Guest();
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  void load_kernel();
  /// Whether the checkpoint can be restored here: its memory, its CPUs, every state. Throws tintype::Error; changes
  /// nothing.
  void check(const CheckpointReader& checkpoint) const;
  /// Takes on memory and states of a checkpoint that was checked.
  void restore(const CheckpointReader& checkpoint, const ProgressSink& progress);
  /// The same, where memory is there already.
  void restore_states(const CheckpointReader& checkpoint, const ProgressSink& progress);
  /// The same, but memory comes while the guest runs, or before it if it is asked for.
  void restore_lazily(const CheckpointReader& checkpoint, std::shared_ptr<const BlockSource> memory,
                      LazyLoad::Events events, LazyLoad::WorkingSet first, const ProgressSink& progress);
  /// The same, on memory that others share.
  void restore_shared(const CheckpointReader& checkpoint, std::shared_ptr<const MemoryImage> memory,
                      const ProgressSink& progress);
  /// It has its disks, too, and is about to run: it is another generation, unless it was suspended; what was not wanted
  /// so far is loaded. Throws tintype::Error where memory cannot be read.
  void complete_restore();
  /// Null where it is all its own.
  const SharedMemory* shared() const noexcept { return shared_.get(); }
  /// Memory that comes while the guest runs; null where it was all there from the beginning.
  LazyLoad* load() noexcept { return load_.get(); }
  const LazyLoad* load() const noexcept { return load_.get(); }

  /// Memory was changed behind KVM's back: whatever it knows of the guest's page tables is no more. With all CPUs
  /// parked.
  void forget_page_tables();

  /// The machine has come back from a checkpoint: it has another generation ID (vmm/boot/generation_id.h), if it has
  /// one, and is told so. All memory can be read; CPUs parked, or not running yet.
  void renew_generation();

  /// Starts the devices, then the vCPUs.
  void start();
  /// After Processors::request_end(): waits for the vCPUs' threads, stops the devices, closes the disks. Not on a
  /// vCPU's thread.
  void close();

  const MachineConfig& config() const noexcept { return config_; }
  GuestMemory& memory() noexcept { return memory_; }
  KvmVm& vm() noexcept { return kvm_.vm; }
  Backplane& backplane() noexcept { return backplane_; }
  /// How often each device was read or written; those that were.
  std::map<std::string, std::uint64_t> exits_by_device() const;
  Platform& platform() noexcept { return platform_; }
  const Platform& platform() const noexcept { return platform_; }
  VirtioDevices& virtio() noexcept { return virtio_; }
  const VirtioDevices& virtio() const noexcept { return virtio_; }
  Processors& processors() noexcept { return processors_; }
  const Processors& processors() const noexcept { return processors_; }
  /// In the order of saving and restoring.
  std::span<Stateful* const> states() const noexcept { return states_; }
  /// Of a machine that was booted: what lies where in its memory, for crash reports.
  std::span<const LoadedPart> loaded() const noexcept { return loaded_; }
  /// What the manifest says of it, once it has started. Asks no vCPU.
  MachineDescription describe() const;

 private:
  void give_up_load() noexcept;

  MachineConfig config_;
  GuestMemory memory_;  // before the VM: KVM refers to it
  std::unique_ptr<LazyLoad> load_;
  std::unique_ptr<SharedMemory> shared_;
  VmShell::Parts kvm_;
  Backplane backplane_;
  Platform platform_;
  VirtioDevices virtio_;
  IrqchipState irqchip_state_;
  PitState pit_state_;
  TscGroup tscs_;
  ClockState clock_state_;
  std::vector<LoadedPart> loaded_;
  Processors processors_;  // after all that its threads use
  std::vector<Stateful*> states_;
  CpuDescription cpu_;  // noted before the vCPUs run
};

}  // namespace tintype
