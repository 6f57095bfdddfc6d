// SPDX-License-Identifier: Apache-2.0
#include "guest-images/runtime/virtio_mmio.h"

#include "guest-images/runtime/cpu.h"
#include "guest-images/runtime/interrupts.h"
#include "guest-images/runtime/options.h"

namespace tintype::guest {
namespace {

// Virtio 1.2, 4.2.2.
constexpr std::uint32_t kMagicValue = 0x000;
constexpr std::uint32_t kVersion = 0x004;
constexpr std::uint32_t kDeviceId = 0x008;
constexpr std::uint32_t kDeviceFeatures = 0x010;
constexpr std::uint32_t kDeviceFeaturesSelect = 0x014;
constexpr std::uint32_t kDriverFeatures = 0x020;
constexpr std::uint32_t kDriverFeaturesSelect = 0x024;
constexpr std::uint32_t kQueueSelect = 0x030;
constexpr std::uint32_t kQueueSizeMax = 0x034;
constexpr std::uint32_t kQueueSize = 0x038;
constexpr std::uint32_t kQueueReady = 0x044;
constexpr std::uint32_t kQueueNotify = 0x050;
constexpr std::uint32_t kInterruptStatus = 0x060;
constexpr std::uint32_t kInterruptAcknowledge = 0x064;
constexpr std::uint32_t kStatus = 0x070;
constexpr std::uint32_t kQueueDescriptors = 0x080;
constexpr std::uint32_t kQueueDriver = 0x090;
constexpr std::uint32_t kQueueDevice = 0x0a0;
constexpr std::uint32_t kConfig = 0x100;

constexpr std::uint32_t kMagic = 0x74726976;  // "virt"

// Virtio 1.2, 2.1.
constexpr std::uint32_t kAcknowledge = 1;
constexpr std::uint32_t kDriver = 2;
constexpr std::uint32_t kDriverOk = 4;
constexpr std::uint32_t kFeaturesOk = 8;
constexpr std::uint32_t kNeedsReset = 64;

// Takes the form SIZE@ADDRESS:PIN apart.
bool parse(Text text, std::uint64_t& base, std::uint32_t& pin) {
  take_number(text);
  if (text.size == 0 || *text.data != '@') return false;
  text = Text{text.data + 1, text.size - 1};
  base = take_number(text);
  if (text.size == 0 || *text.data != ':') return false;
  text = Text{text.data + 1, text.size - 1};
  pin = static_cast<std::uint32_t>(take_number(text));
  return pin < 24;
}

}  // namespace

VirtioMmio VirtioMmio::find(std::uint32_t device_id, std::uint32_t nth) {
  VirtioMmio device;
  for (std::uint32_t slot = 0;; ++slot) {
    const Text text = option("virtio_mmio.device", slot);
    if (!text.present()) return VirtioMmio{};
    if (!parse(text, device.base_, device.pin_)) continue;
    if (device.read(kMagicValue) != kMagic || device.read(kVersion) != 2) continue;
    if (device.read(kDeviceId) == device_id && nth-- == 0) return device;
  }
}

bool VirtioMmio::start(std::uint64_t required, std::uint64_t wanted, std::uint64_t& agreed) const {
  write(kStatus, 0);
  write(kStatus, kAcknowledge);
  write(kStatus, kAcknowledge | kDriver);
  write(kDeviceFeaturesSelect, 0);
  std::uint64_t offered = read(kDeviceFeatures);
  write(kDeviceFeaturesSelect, 1);
  offered |= std::uint64_t{read(kDeviceFeatures)} << 32;
  agreed = offered & (required | wanted);
  write(kDriverFeaturesSelect, 0);
  write(kDriverFeatures, static_cast<std::uint32_t>(agreed));
  write(kDriverFeaturesSelect, 1);
  write(kDriverFeatures, static_cast<std::uint32_t>(agreed >> 32));
  write(kStatus, kAcknowledge | kDriver | kFeaturesOk);
  return (agreed & required) == required && (read(kStatus) & kFeaturesOk) != 0;
}

std::uint32_t VirtioMmio::queue_limit() const {
  write(kQueueSelect, 0);
  return read(kQueueSizeMax);
}

void VirtioMmio::set_queue(const Virtqueue& queue) const {
  write(kQueueSelect, 0);
  write(kQueueSize, queue.size());
  write64(kQueueDescriptors, queue.descriptors());
  write64(kQueueDriver, queue.available());
  write64(kQueueDevice, queue.used());
  write(kQueueReady, 1);
}

void VirtioMmio::driver_ok() const {
  enable_interrupt(pin_);
  write(kStatus, kAcknowledge | kDriver | kFeaturesOk | kDriverOk);
}

void VirtioMmio::notify() const { write(kQueueNotify, 0); }

void VirtioMmio::acknowledge_interrupt() const {
  while (const std::uint32_t status = read(kInterruptStatus)) write(kInterruptAcknowledge, status);
}

bool VirtioMmio::needs_reset() const { return (read(kStatus) & kNeedsReset) != 0; }

std::uint32_t VirtioMmio::config32(std::uint32_t offset) const { return read(kConfig + offset); }

std::uint32_t VirtioMmio::read(std::uint32_t offset) const { return mmio_read32(base_ + offset); }

void VirtioMmio::write(std::uint32_t offset, std::uint32_t value) const { mmio_write32(base_ + offset, value); }

void VirtioMmio::write64(std::uint32_t offset, const volatile void* address) const {
  const auto value = reinterpret_cast<std::uint64_t>(address);
  write(offset, static_cast<std::uint32_t>(value));
  write(offset + 4, static_cast<std::uint32_t>(value >> 32));
}

}  // namespace tintype::guest
