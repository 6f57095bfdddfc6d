// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "vmm/base/state.h"

namespace tintype {

/// Something that answers at addresses: ports (x86 PIO) or guest physical memory (MMIO). Called by vCPU
/// threads, by several at once, so an implementation locks what it shares. The guest chooses offset and
/// width; both lie inside the window that was attached.
class BusDevice {
 public:
  virtual ~BusDevice() = default;
  /// A guest's read of 1, 2, 4 or 8 bytes at `offset` into the window. Fills all of `data`; what is not there
  /// reads as the device's bus does (often 0xff).
  virtual void bus_read(std::uint64_t offset, std::span<std::byte> data) noexcept = 0;
  virtual void bus_write(std::uint64_t offset, std::span<const std::byte> data) noexcept = 0;
};

/// A device: it has state, and can be frozen. The guest reaches it through one BusDevice or several (often
/// the device itself), by which it is plugged into the Backplane.
///
/// freeze() returns when the device is at a request boundary: from then until thaw() it changes neither guest
/// memory nor its own state, even where its own threads are running or host I/O completes. It never waits for
/// host I/O: requests in flight become part of the saved state and are issued again after a restore. freeze()
/// and thaw() come in pairs, from one thread, with the vCPUs parked.
class Device : public Stateful {
 public:
  virtual void freeze() noexcept = 0;
  virtual void thaw() noexcept = 0;
};

/// A device that only vCPUs change: no thread, no far end, no host I/O. With the vCPUs parked it stands still.
class PassiveDevice : public Device {
 public:
  void freeze() noexcept final {}
  void thaw() noexcept final {}
};

}  // namespace tintype
