// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/virtio_devices.h"

#include <algorithm>

#include "vmm/base/address_map.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"

namespace tintype {

namespace {

constexpr unsigned kMostQueues = 16;  ///< of a disk: KVM has room for a thousand bells

DiskOptions disk_options(const MachineConfig& config, std::size_t number) {
  const DiskConfig& disk = config.disks[number];
  DiskOptions options;
  options.id = fmt::format("disk{}", number);
  options.mode = disk.mode;
  options.read_only = disk.read_only;
  options.serial = disk.serial.empty() ? options.id : disk.serial;
  options.log_directory = config.disk_directory;
  options.behaviour = disk.behaviour;
  options.suspended_as = config.suspended_as;
  return options;
}

}  // namespace

VirtioPlug::VirtioPlug(KvmVm& vm, Backplane& backplane, GuestMemory& memory, std::size_t slot, const std::string& name,
                       std::unique_ptr<VirtioDevice> device)
    : irq_(vm, kVirtioMmioIrqs[slot], name), device_(std::move(device)), transport_(name, memory, irq_, *device_) {
  const std::uint64_t window = virtio_mmio_address(slot);
  backplane.plug(transport_, {{Backplane::Space::kMmio, window, kVirtioWindow, transport_, name}});
  for (std::size_t queue = 0; queue < transport_.queue_count(); ++queue) {
    vm.attach_ioeventfd(transport_.queue_bell(queue).fd(), window + kVirtioNotifyOffset,
                        static_cast<std::uint32_t>(queue));
  }
}

VirtioDevices::VirtioDevices(KvmVm& vm, Backplane& backplane, GuestMemory& memory, const MachineConfig& config) {
  if (config.disks.size() >= kVirtioMmioSlots) throw Error("a machine can have at most {} disks", kVirtioMmioSlots - 1);
  try {
    plug_in(vm, backplane, memory, config);
  } catch (...) {  // a disk that was opened leaves nothing behind, where another one cannot be
    close_quietly();
    throw;
  }
}

void VirtioDevices::plug_in(KvmVm& vm, Backplane& backplane, GuestMemory& memory, const MachineConfig& config) {
  for (std::size_t i = 0; i < config.disks.size(); ++i) {
    DiskSlot& disk = *disks_.emplace_back(
        std::make_unique<DiskSlot>(disk_options(config, i), config.disk_tuning, config.disks[i].size));
    if (!config.disks[i].image.empty()) open_disk(disk, {config.disks[i].image});
    plugs_.push_back(std::make_unique<VirtioPlug>(
        vm, backplane, memory, i, disk.id(), std::make_unique<VirtioBlk>(disk, std::min(config.cpus, kMostQueues))));
  }
  plugs_.push_back(
      std::make_unique<VirtioPlug>(vm, backplane, memory, plugs_.size(), "rng", std::make_unique<VirtioRng>()));
}

void VirtioDevices::open_disk(DiskSlot& disk, const ImagePlace& image) {
  disk.open(image);
  freezable_.push_back(disk.disk());
}

void VirtioDevices::open_disks(std::span<const ImagePlace> images) {
  check(images.size() == disks_.size(), "each disk has an image");
  for (std::size_t i = 0; i < images.size(); ++i) open_disk(*disks_[i], images[i]);
}

VirtioDevices::~VirtioDevices() {
  stop();
  close_quietly();
}

void VirtioDevices::close_quietly() noexcept {
  try {
    close();
  } catch (const std::exception& error) {
    log_note("{}", error.what());
  }
}

std::vector<VirtioSlot> VirtioDevices::slots() const {
  std::vector<VirtioSlot> slots;
  for (std::size_t i = 0; i < plugs_.size(); ++i)
    slots.push_back({virtio_mmio_address(i), kVirtioWindow, kVirtioMmioIrqs[i]});
  return slots;
}

std::vector<NamedState> VirtioDevices::states() const {
  std::vector<NamedState> states;
  for (const auto& plug : plugs_) states.push_back({plug->transport().state_name(), plug->transport().save_state()});
  return states;
}

void VirtioDevices::start() {
  for (const auto& disk : disks_) disk->disk()->start_completing();
  for (const auto& plug : plugs_) plug->transport().start();
}

void VirtioDevices::stop() noexcept {
  for (const auto& plug : plugs_) plug->transport().stop();
}

void VirtioDevices::close() {
  if (std::exchange(closed_, true)) return;
  std::exception_ptr first;
  for (const auto& disk : disks_) {
    try {
      if (disk->disk() != nullptr) disk->disk()->close();
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace tintype
