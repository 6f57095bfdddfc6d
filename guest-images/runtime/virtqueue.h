// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tintype::guest {

// A piece of memory that the device reads or writes.
struct Segment {
  const void* address;
  std::uint32_t size;
  bool device_writes;
};

// A split virtqueue (virtio 1.2, 2.7), the driver's end of it.
//
// No free lists: descriptors are dealt out once and for all in groups of eight, one group for each
// request that can be in flight. A request is known by its group's number, its *tag*.
class Virtqueue {
 public:
  static constexpr std::uint32_t kMaxSize = 256;
  static constexpr std::uint32_t kGroup = 8;
  static constexpr std::uint32_t kMaxTags = kMaxSize / kGroup;

  // What the device agreed to.
  struct Features {
    bool event_index = false;
    bool indirect = false;
  };

  // `size` is a power of two from kGroup to kMaxSize. With `silent` the device is asked not to
  // interrupt.
  void start(std::uint32_t size, Features features, bool silent);

  std::uint32_t size() const { return size_; }
  std::uint32_t tags() const { return size_ / kGroup; }
  const volatile void* descriptors() const { return descriptors_; }
  const volatile void* available() const { return &available_; }
  const volatile void* used() const { return &used_; }

  // Hands a request to the device, up to kGroup segments of it. True if the device must be
  // notified; until then it may or may not have seen it.
  bool submit(std::uint32_t tag, const Segment* segments, std::uint32_t count);

  // A request that the device has done with.
  struct Completion {
    std::uint32_t tag;
    std::uint32_t bytes_written;
    bool expected;  // false: no such request was in flight
  };

  // Takes one; false if there is none, and then the device will interrupt for the next one.
  bool take(Completion& completion);

  // Something is there to take().
  bool pending() const;

 private:
  struct Descriptor {
    std::uint64_t address;
    std::uint32_t size;
    std::uint16_t flags;
    std::uint16_t next;
  };
  static_assert(sizeof(Descriptor) == 16);

  struct Available {
    std::uint16_t flags;
    std::uint16_t index;
    std::uint16_t ring[kMaxSize + 1];  // behind the last: used_event
  };

  struct UsedElement {
    std::uint32_t id;
    std::uint32_t size;
  };

  struct Used {
    std::uint16_t flags;
    std::uint16_t index;
    UsedElement ring[kMaxSize + 1];  // behind the last: avail_event
  };

  void describe(Descriptor* to, std::uint32_t first, const Segment* segments, std::uint32_t count) const;
  bool wants_notification(std::uint16_t before) const;

  alignas(16) Descriptor descriptors_[kMaxSize] = {};
  alignas(16) Descriptor indirect_[kMaxTags][kGroup] = {};
  alignas(4) volatile Available available_ = {};
  alignas(4) volatile Used used_ = {};
  Features features_;
  std::uint32_t size_ = 0;
  std::uint32_t submitted_ = 0;
  std::uint16_t taken_ = 0;
  bool silent_ = false;
  bool in_flight_[kMaxTags] = {};
};

}  // namespace tintype::guest
