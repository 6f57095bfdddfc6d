// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/virtqueue_view.h"

#include <doctest/doctest.h>

#include "devices/virtio/spec.h"

namespace tintype {

namespace {

constexpr std::uint64_t kDescriptors = 0x1000, kAvailable = 0x2000, kUsed = 0x3000, kIndirectTable = 0x4000;
constexpr std::uint64_t kHeader = 0x8000, kData = 0x9000;

/// A disk with one queue of eight, in memory that a test fills as a driver would.
struct QueueInMemory {
  QueueInMemory() {
    device.name = "disk0";
    device.kind = "virtio-blk";
    device.transport.driver_features = virtio::kFeatureIndirectDescriptors;
    queue.ready = true;
    queue.size = 8;
    queue.descriptors = kDescriptors;
    queue.available = kAvailable;
    queue.used = kUsed;
  }

  void describe(std::uint64_t table, unsigned index, const virtio::Descriptor& descriptor) {
    REQUIRE(memory.store(Gpa(table + index * sizeof descriptor), descriptor));
  }
  void offer(std::uint16_t slot, std::uint16_t head) {
    REQUIRE(memory.store<std::uint16_t>(Gpa(kAvailable + virtio::available_element(slot)), head));
    REQUIRE(memory.store<std::uint16_t>(Gpa(kAvailable + virtio::kAvailableIndex), slot + 1));
  }
  /// A write of one page at a sector, from `head` on.
  void describe_write(std::uint64_t table, std::uint16_t head, std::uint64_t sector) {
    REQUIRE(memory.store(Gpa(kHeader), virtio::BlkHeader{virtio::kBlkOut, 0, sector}));
    const auto next = [head](int steps) { return static_cast<std::uint16_t>(head + steps); };
    describe(table, head, {kHeader, 16, virtio::kDescriptorNext, next(1)});
    describe(table, next(1), {kData, 4096, virtio::kDescriptorNext, next(2)});
    describe(table, next(2), {kHeader + 16, 1, virtio::kDescriptorWrite, 0});
  }
  ViewedQueue view() const { return view_queue(physical(memory), device, queue); }

  GuestMemory memory{1 << 20};
  InspectedDevice device;
  VirtioQueueStateV1 queue;
};

}  // namespace

TEST_CASE("a request in flight and one that waits are told apart, and what they ask for") {
  QueueInMemory disk;
  disk.describe_write(kDescriptors, 0, 2048);
  disk.describe(kDescriptors, 4, {kHeader, 16, virtio::kDescriptorNext, 5});
  disk.describe(kDescriptors, 5, {kHeader + 16, 1, virtio::kDescriptorWrite, 0});
  disk.offer(0, 0);
  disk.offer(1, 4);
  disk.queue.next_available = 1;
  disk.queue.in_flight = {0};
  const ViewedQueue seen = disk.view();
  CHECK(seen.problem.empty());
  CHECK(seen.available_index == 2);
  CHECK(seen.used_index == 0);
  REQUIRE(seen.in_flight.size() == 1);
  CHECK(seen.in_flight[0].request == "write at sector 2048");
  REQUIRE(seen.in_flight[0].buffers.size() == 3);
  CHECK(seen.in_flight[0].buffers[1].address == kData);
  CHECK(seen.in_flight[0].buffers[1].length == 4096);
  CHECK_FALSE(seen.in_flight[0].buffers[1].writable);
  CHECK(seen.in_flight[0].buffers[2].writable);
  REQUIRE(seen.waiting.size() == 1);
  CHECK(seen.waiting[0].head == 4);
  CHECK(seen.waiting[0].problem.empty());
}

TEST_CASE("an indirect table is followed where the driver may have one, and only once") {
  QueueInMemory disk;
  disk.describe(kDescriptors, 3, {kIndirectTable, 3 * sizeof(virtio::Descriptor), virtio::kDescriptorIndirect, 0});
  disk.describe_write(kIndirectTable, 0, 7);
  disk.offer(0, 3);
  CHECK(disk.view().waiting.at(0).request == "write at sector 7");
  CHECK(disk.view().waiting.at(0).buffers.size() == 3);
  disk.describe(kIndirectTable, 2, {kIndirectTable, 48, virtio::kDescriptorIndirect, 0});
  CHECK(disk.view().waiting.at(0).problem == "an indirect table that is not allowed");
  disk.device.transport.driver_features = 0;
  CHECK(disk.view().waiting.at(0).problem == "an indirect table that is not allowed");
  CHECK(disk.view().waiting.at(0).buffers.empty());
}

TEST_CASE("what a driver breaks is said, and ends the picture") {
  QueueInMemory disk;
  SUBCASE("a loop") {
    disk.describe(kDescriptors, 0, {kData, 1, virtio::kDescriptorNext, 0});
    disk.offer(0, 0);
    CHECK(disk.view().waiting.at(0).problem == "a chain longer than the queue");
    CHECK(disk.view().waiting.at(0).buffers.size() == 8);
  }
  SUBCASE("a head that names no descriptor") {
    disk.offer(0, 8);
    CHECK(disk.view().waiting.at(0).problem == "a descriptor whose next one does not exist");
  }
  SUBCASE("an index that jumps") {
    disk.offer(20, 0);
    CHECK(disk.view().problem == "an available index that jumped by more than the queue holds");
    CHECK(disk.view().waiting.empty());
  }
  SUBCASE("rings that are not memory") {
    disk.queue.available = UINT64_MAX;
    CHECK(disk.view().problem == "a ring that is misaligned or not memory");
  }
  SUBCASE("a size that cannot be") {
    disk.queue.size = 7;
    CHECK(disk.view().problem == "a queue size that is no power of two or too large");
    disk.queue.size = 1U << 31;
    CHECK_FALSE(disk.view().problem.empty());
  }
  SUBCASE("a request's header that is not memory") {
    disk.describe(kDescriptors, 0, {1ULL << 40, 16, 0, 0});
    disk.offer(0, 0);
    CHECK(disk.view().waiting.at(0).request.empty());
    CHECK(disk.view().waiting.at(0).buffers.size() == 1);
  }
}

TEST_CASE("the largest queue, full of the longest loops, makes a picture of bounded size") {
  QueueInMemory disk;
  disk.queue.size = virtio::kMaxQueueSize;
  disk.queue.descriptors = 0x10000;
  for (unsigned i = 0; i < 1024; ++i)
    disk.describe(0x10000, i, {kData, 1, virtio::kDescriptorNext, static_cast<std::uint16_t>((i + 1) % 1024)});
  REQUIRE(disk.memory.store<std::uint16_t>(Gpa(kAvailable + virtio::kAvailableIndex), 0x7fff));
  const ViewedQueue seen = disk.view();
  std::size_t buffers = 0;
  for (const ViewedChain& chain : seen.waiting) buffers += chain.buffers.size();
  CHECK(buffers == 4096);
  CHECK(seen.waiting.size() < 10);
}

}  // namespace tintype
