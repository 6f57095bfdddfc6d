// SPDX-License-Identifier: Apache-2.0
#include "guest-images/runtime/virtqueue.h"

#include "guest-images/runtime/cpu.h"

namespace tintype::guest {
namespace {

// Virtio 1.2, 2.7.5 and 2.7.6.
constexpr std::uint16_t kNext = 1;
constexpr std::uint16_t kDeviceWrites = 2;
constexpr std::uint16_t kIndirect = 4;
constexpr std::uint16_t kNoInterrupt = 1;
constexpr std::uint16_t kNoNotify = 1;

}  // namespace

void Virtqueue::start(std::uint32_t size, Features features, bool silent) {
  size_ = size;
  features_ = features;
  silent_ = silent;
  available_.flags = silent && !features.event_index ? kNoInterrupt : 0;
  // With event indices the device interrupts when it gets to this one. It never gets to the one
  // just behind it before it has gone through all others, and these are taken before.
  available_.ring[size_] = silent ? 0xffff : 0;
}

void Virtqueue::describe(Descriptor* to, std::uint32_t first, const Segment* segments, std::uint32_t count) const {
  for (std::uint32_t i = 0; i != count; ++i) {
    const bool last = i + 1 == count;
    to[i].address = reinterpret_cast<std::uint64_t>(segments[i].address);
    to[i].size = segments[i].size;
    to[i].flags = static_cast<std::uint16_t>((last ? 0 : kNext) | (segments[i].device_writes ? kDeviceWrites : 0));
    to[i].next = static_cast<std::uint16_t>(last ? 0 : first + i + 1);
  }
}

bool Virtqueue::submit(std::uint32_t tag, const Segment* segments, std::uint32_t count) {
  const std::uint32_t head = tag * kGroup;
  // Where the device takes both, both are used: every other request goes through a table.
  if (features_.indirect && submitted_ % 2 != 0) {
    describe(indirect_[tag], 0, segments, count);
    const auto size = static_cast<std::uint32_t>(count * sizeof(Descriptor));
    const Segment table{indirect_[tag], size, false};
    describe(&descriptors_[head], head, &table, 1);
    descriptors_[head].flags = kIndirect;
  } else {
    describe(&descriptors_[head], head, segments, count);
  }
  in_flight_[tag] = true;
  const std::uint16_t before = available_.index;
  available_.ring[before % size_] = static_cast<std::uint16_t>(head);
  compiler_barrier();  // x86 keeps stores in order, the compiler need not
  available_.index = static_cast<std::uint16_t>(before + 1);
  ++submitted_;
  memory_barrier();
  return wants_notification(before);
}

bool Virtqueue::wants_notification(std::uint16_t before) const {
  if (!features_.event_index) return (used_.flags & kNoNotify) == 0;
  const auto event = static_cast<std::uint16_t>(used_.ring[size_].id);
  return event == before;
}

bool Virtqueue::pending() const { return used_.index != taken_; }

bool Virtqueue::take(Completion& completion) {
  if (!pending()) {
    if (features_.event_index) available_.ring[size_] = static_cast<std::uint16_t>(silent_ ? taken_ - 1 : taken_);
    memory_barrier();
    if (!pending()) return false;  // one may have come before the device could see our wish
  }
  compiler_barrier();
  const volatile UsedElement& element = used_.ring[taken_++ % size_];
  const std::uint32_t id = element.id;
  completion.tag = id / kGroup;
  completion.bytes_written = element.size;
  completion.expected = id % kGroup == 0 && completion.tag < tags() && in_flight_[completion.tag];
  if (completion.expected) in_flight_[completion.tag] = false;
  return true;
}

}  // namespace tintype::guest
