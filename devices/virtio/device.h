// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "devices/virtio/chain.h"
#include "devices/virtio/state.h"
#include "vmm/base/state.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// What a virtio device may ask of the transport it is plugged into. With the transport's lock held, which it
/// is in every call of a VirtioDevice.
class VirtioHost {
 public:
  virtual ~VirtioHost() = default;
  virtual GuestMemory& memory() noexcept = 0;
  /// The device's, for traces.
  virtual std::string_view name() const noexcept = 0;
  /// Gives a chain back to the driver, which sees it, and is interrupted if it wants to be, at the end of the
  /// batch.
  virtual void give_back(std::uint16_t queue, std::uint16_t head, std::uint32_t written) noexcept = 0;
};

/// One kind of virtio device, without registers, rings and threads: those are the transport's. It is handed
/// descriptor chains and gives them back, at once or later and in any order.
///
/// All methods but the first group are called with the transport's lock held, on the device's I/O thread or
/// (activate, abandon) on a vCPU's.
class VirtioDevice {
 public:
  virtual ~VirtioDevice() = default;

  // What does not change while the device exists.
  virtual std::uint32_t device_id() const noexcept = 0;
  /// The bits of this kind of device; the transport adds those of rings and transport.
  virtual std::uint64_t features() const noexcept = 0;
  /// Largest size of each queue, a power of two.
  virtual std::span<const std::uint16_t> queue_sizes() const noexcept = 0;
  /// A descriptor that is readable when complete() has work to do, or -1.
  virtual int completion_fd() const noexcept { return -1; }
  virtual void connect(VirtioHost& host) noexcept = 0;

  /// The configuration space, for the driver to read at any offset and width.
  virtual std::span<const std::byte> config() const noexcept = 0;
  /// The driver writes to it. What it must not write is ignored.
  virtual void write_config(std::uint64_t /*offset*/, std::span<const std::byte> /*data*/) noexcept {}
  /// The driver resets the device: it is as it was when it was made.
  virtual void reset() noexcept {}

  /// The driver is ready (DRIVER_OK), or was when the state was saved.
  virtual void activate(std::uint64_t /*negotiated*/) noexcept {}
  /// False where handle() has no room; asked again after complete().
  virtual bool has_room() const noexcept { return true; }
  /// Works on a chain, which is valid only during the call. An error means that the driver broke the rules
  /// and cannot be answered.
  [[nodiscard]] virtual QueueError handle(std::uint16_t queue, const DescriptorChain& chain) noexcept = 0;
  /// No more chains for now: hand to the host what was collected.
  virtual void end_batch() noexcept {}
  /// The host has finished something.
  virtual void complete() noexcept {}
  /// For a thread that looks for work rather than sleep: does what complete() does, if there is anything to do, and
  /// leaves completion_fd() alone. False where there was nothing.
  virtual bool poll() noexcept { return false; }

  /// Forgets the chains in flight of a queue: they must not be given back. The host may still be at work on
  /// their memory; then quiescing().
  virtual void abandon(std::uint16_t /*queue*/) noexcept {}
  /// True while the host works on memory of chains that were abandoned.
  virtual bool quiescing() const noexcept { return false; }

  // Saved state: the transport hands over its part, and the device makes a record of both.
  virtual StateRecord save(const VirtioMmioStateV1& transport) const = 0;
  /// Checks the device's part (throws StateError) and gives the transport its own.
  virtual VirtioMmioStateV1 check_record(const StateRecord& record, std::string_view name) const = 0;
  /// Takes on the device's part, which was checked. Before activate().
  virtual void restore(const StateRecord& /*record*/) {}
};

}  // namespace tintype
