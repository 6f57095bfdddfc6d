// SPDX-License-Identifier: Apache-2.0
#pragma once

// Saved forms of the virtio devices (vmm/base/state.h says how they work). A device's record holds its
// transport's, which holds its queues'.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tintype {

struct VirtioQueueStateV1 {
  static constexpr std::string_view kType = "virtio-queue";
  static constexpr std::uint32_t kVersion = 1;
  bool ready = false;
  std::uint32_t size = 0;
  std::uint64_t descriptors = 0;
  std::uint64_t available = 0;
  std::uint64_t used = 0;
  std::uint16_t next_available = 0;
  std::uint16_t next_used = 0;
  std::vector<std::uint16_t> in_flight;  ///< heads popped and not yet used: issued again after a restore
  bool operator==(const VirtioQueueStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "ready", self.ready);
    field(2, "size", self.size);
    field(3, "descriptors", self.descriptors);
    field(4, "available", self.available);
    field(5, "used", self.used);
    field(6, "next_available", self.next_available);
    field(7, "next_used", self.next_used);
    field(8, "in_flight", self.in_flight);
  }
};

struct VirtioMmioStateV1 {
  static constexpr std::string_view kType = "virtio-mmio";
  static constexpr std::uint32_t kVersion = 1;
  std::uint32_t status = 0;
  std::uint32_t interrupt_status = 0;
  std::uint32_t config_generation = 0;
  std::uint64_t driver_features = 0;
  std::uint32_t device_features_selector = 0;
  std::uint32_t driver_features_selector = 0;
  std::uint32_t queue_selector = 0;
  std::vector<VirtioQueueStateV1> queues;
  bool operator==(const VirtioMmioStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "status", self.status);
    field(2, "interrupt_status", self.interrupt_status);
    field(3, "config_generation", self.config_generation);
    field(4, "driver_features", self.driver_features);
    field(5, "device_features_selector", self.device_features_selector);
    field(6, "driver_features_selector", self.driver_features_selector);
    field(7, "queue_selector", self.queue_selector);
    field(8, "queues", self.queues);
  }
};

struct VirtioBlkStateV1 {
  static constexpr std::string_view kType = "virtio-blk";
  static constexpr std::uint32_t kVersion = 1;
  VirtioMmioStateV1 transport;
  std::uint64_t capacity =
      0;  ///< bytes; this and the next two must be the disk's at restore, since the guest has seen them
  bool read_only = false;
  std::string serial;
  bool operator==(const VirtioBlkStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "transport", self.transport);
    field(2, "capacity", self.capacity);
    field(3, "read_only", self.read_only);
    field(4, "serial", self.serial);
  }
};

struct VirtioBlkStateV2 {
  static constexpr std::string_view kType = "virtio-blk";
  static constexpr std::uint32_t kVersion = 2;
  VirtioMmioStateV1 transport;
  std::uint64_t capacity = 0;  ///< bytes; the guest has seen it, as it has the next three
  bool read_only = false;
  std::string serial;
  std::uint32_t block_size = 0;  ///< bytes; 512 in what version 1 saved
  bool writeback = true;         ///< what the driver made of it, where it may
  bool operator==(const VirtioBlkStateV2&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "transport", self.transport);
    field(2, "capacity", self.capacity);
    field(3, "read_only", self.read_only);
    field(4, "serial", self.serial);
    field(5, "block_size", self.block_size);
    field(6, "writeback", self.writeback);
  }
};

struct VirtioRngStateV1 {
  static constexpr std::string_view kType = "virtio-rng";
  static constexpr std::uint32_t kVersion = 1;
  VirtioMmioStateV1 transport;
  bool operator==(const VirtioRngStateV1&) const = default;
  static void fields(auto& self, auto&& field) { field(1, "transport", self.transport); }
};

}  // namespace tintype
