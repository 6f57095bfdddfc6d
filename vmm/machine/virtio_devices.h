// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "checkpoint/state/codec.h"
#include "devices/backplane.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/mmio_transport.h"
#include "devices/virtio/rng.h"
#include "vmm/boot/request.h"
#include "vmm/machine/config.h"
#include "vmm/machine/disk_slot.h"
#include "vmm/machine/kvm_irq_line.h"

namespace tintype {

/// A virtio device in its slot: MMIO window, interrupt line, bells as ioeventfds. Slot i is at the same place in every
/// machine.
class VirtioPlug {
 public:
  VirtioPlug(KvmVm& vm, Backplane& backplane, GuestMemory& memory, std::size_t slot, const std::string& name,
             std::unique_ptr<VirtioDevice> device);
  MmioTransport& transport() noexcept { return transport_; }

 private:
  KvmIrqLine irq_;
  std::unique_ptr<VirtioDevice> device_;
  MmioTransport transport_;
};

/// The machine's virtio devices: a disk in each of the first slots, a source of randomness in the one after.
class VirtioDevices {
 public:
  /// Opens and locks the images of all disks that have one: those of a machine that is restored come later. Throws
  /// tintype::Error for what the user can mend.
  VirtioDevices(KvmVm& vm, Backplane& backplane, GuestMemory& memory, const MachineConfig& config);
  ~VirtioDevices();

  std::vector<VirtioSlot> slots() const;  ///< what the kernel is told of
  /// Opens and locks the image of each disk, in order. Before start().
  void open_disks(std::span<const ImagePlace> images);
  std::span<FreezableDisk* const> freezable() noexcept { return freezable_; }
  std::span<const std::unique_ptr<DiskSlot>> disks() const noexcept { return disks_; }

  /// What each of them is, with their backplane frozen.
  std::vector<NamedState> states() const;

  void start();
  void stop() noexcept;
  /// After stop(): commits logs, flushes and unlocks every image. Throws the first failure, after having tried all.
  void close();

 private:
  void plug_in(KvmVm& vm, Backplane& backplane, GuestMemory& memory, const MachineConfig& config);
  void open_disk(DiskSlot& disk, const ImagePlace& image);
  void close_quietly() noexcept;

  std::vector<std::unique_ptr<DiskSlot>> disks_;  // before the plugs: their devices refer to them
  std::vector<std::unique_ptr<VirtioPlug>> plugs_;
  std::vector<FreezableDisk*> freezable_;
  bool closed_ = false;
};

}  // namespace tintype
