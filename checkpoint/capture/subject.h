// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a checkpoint knows of a machine: things with state, disks that can freeze, memory that can be captured. The
// machine (vmm/machine) hands these over; checkpoint knows no device and no vCPU thread.

#include <memory>
#include <span>
#include <string>

#include "checkpoint/format/manifest.h"
#include "vmm/base/freezable_disk.h"
#include "vmm/base/state.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// A machine that can be captured. Everything is called from the thread that takes the checkpoint.
class CaptureSubject {
 public:
  virtual ~CaptureSubject() = default;
  virtual std::string name() const = 0;
  /// What the manifest says of the machine. Guest running.
  virtual MachineDescription describe() const = 0;
  virtual GuestMemory& memory() = 0;
  virtual std::span<FreezableDisk* const> disks() = 0;
  /// In the order in which they are to be saved; restoring goes in the same order.
  virtual std::span<Stateful* const> states() = 0;

  /// Parks every vCPU, with no exit half-done.
  virtual void pause() = 0;
  /// Brings every device to a request boundary and holds it there. Waits for no host I/O.
  virtual void freeze_devices() = 0;
  virtual void thaw_devices() noexcept = 0;
  /// Returns when the last vCPU is running.
  virtual void resume() noexcept = 0;
};

}  // namespace tintype
