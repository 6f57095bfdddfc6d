// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "guest-images/runtime/virtqueue.h"

namespace tintype::guest {

// A virtio device behind memory-mapped registers (virtio 1.2, 4.2), version 2 only.
//
// Devices are found where the command line says they are, in Linux's way of writing it:
// `virtio_mmio.device=4K@0xd0000000:5` is one with 4 KiB of registers at that address and its
// interrupt at pin 5 of the I/O APIC. QEMU's microvm has many slots of which most are empty.
class VirtioMmio {
 public:
  VirtioMmio() = default;

  // The nth device of this kind on the command line; not present() if there are fewer.
  static VirtioMmio find(std::uint32_t device_id, std::uint32_t nth);

  bool present() const { return base_ != 0; }
  std::uint32_t pin() const { return pin_; }

  // Resets the device and agrees on features; false if it lacks one of `required`. Returns in
  // `agreed` what of `required` and `wanted` it has.
  bool start(std::uint64_t required, std::uint64_t wanted, std::uint64_t& agreed) const;

  // Gives the device its queue 0, which must not be larger than queue_limit().
  std::uint32_t queue_limit() const;
  void set_queue(const Virtqueue& queue) const;

  // The device may work from here on. Its interrupt is led to the first CPU.
  void driver_ok() const;

  void notify() const;

  // Says to the device that its interrupt was seen. Do this before looking into the queue.
  void acknowledge_interrupt() const;

  // The device has given up on us (DEVICE_NEEDS_RESET).
  bool needs_reset() const;

  std::uint32_t config32(std::uint32_t offset) const;

 private:
  std::uint32_t read(std::uint32_t offset) const;
  void write(std::uint32_t offset, std::uint32_t value) const;
  void write64(std::uint32_t offset, const volatile void* address) const;

  std::uint64_t base_ = 0;
  std::uint32_t pin_ = 0;
};

}  // namespace tintype::guest
