// SPDX-License-Identifier: Apache-2.0
#pragma once

// The guest's side of a virtio device, for tests, fuzzers and benchmarks: a driver that is honest unless told
// otherwise.
//
//   MockDriver driver(transport, memory);
//   driver.start();                                        // the whole sequence of 3.1.1
//   driver.queue().chain().readable(header).writable(513).offer();
//   driver.kick();
//
// It is written against the specification and not against our queue code, so that one does not inherit the
// other's mistakes.

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "devices/device.h"
#include "devices/virtio/spec.h"
#include "tests/support/bus_access.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// Hands out guest memory, page after page, and never takes it back.
class MockHeap {
 public:
  MockHeap(GuestMemory& memory, std::uint64_t start) : memory_(memory), next_(start) {}

  Gpa take(std::uint64_t bytes, std::uint64_t alignment = 16) {
    next_ = align_up(next_, alignment);
    const Gpa taken(next_);
    next_ += bytes;
    if (!memory_.contains(taken, bytes)) throw std::runtime_error("the mock driver has run out of guest memory");
    return taken;
  }
  Gpa put(std::span<const std::byte> bytes) {
    const Gpa where = take(bytes.size());
    if (!memory_.write(where, bytes)) throw std::runtime_error("the mock driver wrote outside memory");
    return where;
  }

 private:
  GuestMemory& memory_;
  std::uint64_t next_;
};

/// The driver's side of one split virtqueue.
class MockQueue {
 public:
  class ChainBuilder;
  struct Used {
    std::uint32_t head = 0, length = 0;
    bool operator==(const Used&) const = default;
  };

  MockQueue(GuestMemory& memory, MockHeap& heap, std::uint32_t size)
      : memory_(memory),
        heap_(heap),
        size_(size),
        descriptors_(heap.take(size * sizeof(virtio::Descriptor), 4096)),
        available_(heap.take(virtio::available_bytes(size), 2)),
        used_(heap.take(virtio::used_bytes(size), 4)) {}

  std::uint32_t size() const { return size_; }
  Gpa descriptors() const { return descriptors_; }
  Gpa available() const { return available_; }
  Gpa used() const { return used_; }
  MockHeap& heap() { return heap_; }
  GuestMemory& memory() { return memory_; }

  ChainBuilder chain();

  // Raw access, for drivers that break the rules.
  void put_descriptor(std::uint32_t index, const virtio::Descriptor& descriptor) {
    store(Gpa(descriptors_.value() + index * sizeof descriptor), descriptor);
  }
  void put_available(std::uint16_t head) {
    store(Gpa(available_.value() + virtio::available_element(available_index_ % size_)), head);
    ++available_index_;
  }
  /// Lets the device see everything that was put into the ring.
  void publish() { set_available_index(available_index_); }
  void set_available_index(std::uint16_t index) {
    available_index_ = index;
    store(Gpa(available_.value() + virtio::kAvailableIndex), index);
  }
  std::uint16_t available_index() const { return available_index_; }

  void suppress_interrupts(bool on) {
    store(Gpa(available_.value()), static_cast<std::uint16_t>(on ? virtio::kAvailableNoInterrupt : 0));
  }
  void set_used_event(std::uint16_t event) { store(Gpa(available_.value() + virtio::used_event_offset(size_)), event); }
  std::uint16_t available_event() const {
    return load<std::uint16_t>(used_.value() + virtio::available_event_offset(size_));
  }
  std::uint16_t used_flags() const { return load<std::uint16_t>(used_.value()); }
  std::uint16_t used_index() const { return load<std::uint16_t>(used_.value() + virtio::kUsedIndex); }

  /// The next chain that the device gave back.
  std::optional<Used> take_used() {
    if (used_index() == used_seen_) return std::nullopt;
    const auto element = load<virtio::UsedElement>(used_.value() + virtio::used_element(used_seen_ % size_));
    ++used_seen_;
    return Used{element.id, element.length};
  }

  std::uint16_t next_descriptor() { return static_cast<std::uint16_t>(next_descriptor_++ % size_); }
  /// Empty rings, as a driver makes them after a reset.
  void start_over() {
    used_seen_ = 0, next_descriptor_ = 0;
    set_available_index(0);
    store(used_, std::uint32_t{0});
  }

 private:
  // Ring indices and flags are read and written while the device's thread does the same.
  template <typename T>
  T load(std::uint64_t address) const {
    std::optional<T> value;
    if constexpr (sizeof(T) == 2) value = memory_.load_acquire<T>(Gpa(address));
    if constexpr (sizeof(T) != 2) value = memory_.load<T>(Gpa(address));
    if (!value) throw std::runtime_error("the mock driver read outside memory");
    return *value;
  }
  template <typename T>
  void store(Gpa address, const T& value) {
    bool stored = false;
    if constexpr (sizeof(T) == 2) stored = memory_.store_release(address, value);
    if constexpr (sizeof(T) != 2) stored = memory_.store(address, value);
    if (!stored) throw std::runtime_error("the mock driver wrote outside memory");
  }

  GuestMemory& memory_;
  MockHeap& heap_;
  std::uint32_t size_;
  Gpa descriptors_, available_, used_;
  std::uint16_t available_index_ = 0;
  std::uint16_t used_seen_ = 0;
  std::uint32_t next_descriptor_ = 0;
};

/// Builds a descriptor chain buffer by buffer. Descriptors are taken from the table in turn: a test offers no
/// more than the queue holds.
class MockQueue::ChainBuilder {
 public:
  explicit ChainBuilder(MockQueue& queue) : queue_(queue) {}

  ChainBuilder& readable(std::span<const std::byte> content) {
    return descriptor(queue_.heap().put(content).value(), static_cast<std::uint32_t>(content.size()), 0);
  }
  template <typename T>
  ChainBuilder& readable_value(const T& value) {
    return readable(std::as_bytes(std::span(&value, 1)));
  }
  ChainBuilder& writable(std::uint32_t length) {
    return descriptor(queue_.heap().take(length).value(), length, virtio::kDescriptorWrite);
  }
  /// Any descriptor at all; `next` and the flag for it are filled in by the builder.
  ChainBuilder& descriptor(std::uint64_t address, std::uint32_t length, std::uint16_t flags) {
    parts_.push_back({address, length, flags, 0});
    return *this;
  }
  /// Puts the chain into an indirect table.
  ChainBuilder& indirect() {
    indirect_ = true;
    return *this;
  }

  /// Address of the n-th buffer, for the test to look into.
  Gpa buffer(std::size_t n) const { return Gpa(parts_.at(n).address); }

  /// Writes the descriptors; gives the head.
  std::uint16_t write() {
    if (!indirect_) return write_direct();
    for (std::size_t i = 0; i + 1 < parts_.size(); ++i) link(parts_[i], static_cast<std::uint16_t>(i + 1));
    const Gpa table = queue_.heap().put(std::as_bytes(std::span(parts_)));
    const std::uint16_t head = queue_.next_descriptor();
    queue_.put_descriptor(
        head, {table.value(), static_cast<std::uint32_t>(parts_.size() * 16), virtio::kDescriptorIndirect, 0});
    return head;
  }
  /// ... and makes the chain available.
  std::uint16_t offer() {
    const std::uint16_t head = write();
    queue_.put_available(head);
    queue_.publish();
    return head;
  }

 private:
  static void link(virtio::Descriptor& part, std::uint16_t next) {
    part.flags |= virtio::kDescriptorNext;
    part.next = next;
  }
  std::uint16_t write_direct() {
    std::vector<std::uint16_t> indices;
    for (std::size_t i = 0; i < parts_.size(); ++i) indices.push_back(queue_.next_descriptor());
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      if (i + 1 < parts_.size()) link(parts_[i], indices[i + 1]);
      queue_.put_descriptor(indices[i], parts_[i]);
    }
    return indices.at(0);
  }

  MockQueue& queue_;
  std::vector<virtio::Descriptor> parts_;
  bool indirect_ = false;
};

inline MockQueue::ChainBuilder MockQueue::chain() { return ChainBuilder(*this); }

/// A driver of a virtio-mmio device with one queue.
class MockDriver {
 public:
  MockDriver(BusDevice& device, GuestMemory& memory, std::uint32_t queue_size = 16, std::uint64_t heap = 0x10000)
      : device_(device), heap_(memory, heap), queue_(memory, heap_, queue_size) {}

  std::uint32_t read(std::uint64_t offset) { return bus_in<std::uint32_t>(device_, offset); }
  void write(std::uint64_t offset, std::uint32_t value) { bus_out<std::uint32_t>(device_, offset, value); }
  MockQueue& queue() { return queue_; }
  MockHeap& heap() { return heap_; }
  std::uint32_t status() { return read(virtio::kStatus); }
  bool needs_reset() { return (status() & virtio::kStatusNeedsReset) != 0; }

  std::uint64_t offered_features() {
    write(virtio::kDeviceFeaturesSel, 0);
    const std::uint64_t low = read(virtio::kDeviceFeatures);
    write(virtio::kDeviceFeaturesSel, 1);
    return low | (std::uint64_t{read(virtio::kDeviceFeatures)} << 32);
  }
  void choose_features(std::uint64_t features) {
    write(virtio::kDriverFeaturesSel, 0);
    write(virtio::kDriverFeatures, static_cast<std::uint32_t>(features));
    write(virtio::kDriverFeaturesSel, 1);
    write(virtio::kDriverFeatures, static_cast<std::uint32_t>(features >> 32));
  }
  void set_up_queue() { set_up_queue(queue_, 0); }
  void set_up_queue(const MockQueue& queue, std::uint32_t number) {
    write(virtio::kQueueSel, number);
    write(virtio::kQueueNum, queue.size());
    write_address(virtio::kQueueDescLow, queue.descriptors());
    write_address(virtio::kQueueDriverLow, queue.available());
    write_address(virtio::kQueueDeviceLow, queue.used());
    write(virtio::kQueueReady, 1);
  }
  void write_address(std::uint64_t low_register, Gpa address) {
    write(low_register, static_cast<std::uint32_t>(address.value()));
    write(low_register + 4, static_cast<std::uint32_t>(address.value() >> 32));
  }

  /// Device initialization as 3.1.1 wants it. False where the device refused the features.
  bool start(std::uint64_t features = ~0ULL) {
    using namespace virtio;
    write(kStatus, 0);
    write(kStatus, kStatusAcknowledge);
    write(kStatus, kStatusAcknowledge | kStatusDriver);
    choose_features(features == ~0ULL ? offered_features() : features);
    write(kStatus, kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk);
    if ((status() & kStatusFeaturesOk) == 0) return false;
    set_up_queue();
    write(kStatus, kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk | kStatusDriverOk);
    return true;
  }
  void kick() { write(virtio::kQueueNotify, 0); }

  /// What an interrupt handler does first.
  std::uint32_t acknowledge() {
    const std::uint32_t reasons = read(virtio::kInterruptStatus);
    write(virtio::kInterruptAck, reasons);
    return reasons;
  }

 private:
  BusDevice& device_;
  MockHeap heap_;
  MockQueue queue_;
};

}  // namespace tintype
