// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/queue.h"

#include <doctest/doctest.h>

#include "devices/virtio/spec.h"
#include "tests/support/mock_driver.h"

namespace tintype {
namespace {

struct QueueFixture {
  explicit QueueFixture(std::uint64_t features = 0, std::uint32_t size = 8) : driver(memory, heap, size) {
    queue.registers() = {size, driver.descriptors().value(), driver.available().value(), driver.used().value()};
    REQUIRE(queue.start() == QueueError::kNone);
    queue.set_features(features);
  }

  std::uint16_t pop() {
    const auto head = queue.pop();
    REQUIRE(head.error() == QueueError::kNone);
    REQUIRE(head.operator*().has_value());
    return **head;
  }
  bool empty() {
    const auto head = queue.pop();
    return head && !*head;
  }
  /// One whole turn of a chain. True where the driver is to be interrupted.
  bool turn(std::uint16_t head) {
    driver.put_available(head);
    driver.publish();
    CHECK(pop() == head);
    CHECK(queue.add_used(head, 1) == QueueError::kNone);
    const auto wanted = queue.publish();
    REQUIRE(wanted.error() == QueueError::kNone);
    return *wanted;
  }

  GuestMemory memory{1 << 20};
  MockHeap heap{memory, 0x1000};
  MockQueue driver;
  Queue queue{memory, 256};
};

}  // namespace

TEST_CASE("chains come in the order in which they were made available") {
  QueueFixture f;
  for (const std::uint16_t head : {3, 1, 7}) f.driver.put_available(head);
  CHECK(f.empty());
  f.driver.publish();
  CHECK(f.pop() == 3);
  CHECK(f.pop() == 1);
  CHECK(f.pop() == 7);
  CHECK(f.empty());
}

TEST_CASE("what was given back is seen only when it is published, and then all of it") {
  QueueFixture f;
  for (const std::uint16_t head : {2, 5}) f.driver.put_available(head);
  f.driver.publish();
  f.pop(), f.pop();
  CHECK(f.queue.add_used(5, 100) == QueueError::kNone);
  CHECK(f.queue.add_used(2, 200) == QueueError::kNone);
  CHECK_FALSE(f.driver.take_used().has_value());
  CHECK(*f.queue.publish());
  CHECK(f.driver.take_used() == MockQueue::Used{5, 100});
  CHECK(f.driver.take_used() == MockQueue::Used{2, 200});
  CHECK_FALSE(*f.queue.publish());
}

TEST_CASE("indices that wrap at 65536 lose no chain and double none") {
  QueueFixture f;
  for (unsigned i = 0; i < 70000; ++i) {
    f.turn(static_cast<std::uint16_t>(i * 3 % 8));
    const auto used = f.driver.take_used();
    if (!used || used->head != i * 3 % 8) FAIL("turn " << i);
  }
  CHECK(f.empty());
}

TEST_CASE("an available index that jumps past the queue's size breaks the queue instead of reading old entries") {
  QueueFixture f;
  f.driver.set_available_index(9);
  CHECK(f.queue.pop().error() == QueueError::kIndexJumped);
  f.driver.set_available_index(8);
  CHECK(f.queue.pop().error() == QueueError::kNone);
}

TEST_CASE("an available index that goes backwards is a jump as well") {
  QueueFixture f;
  f.turn(0);
  f.driver.set_available_index(0);
  CHECK(f.queue.pop().error() == QueueError::kIndexJumped);
}

TEST_CASE("a head that names no descriptor is refused") {
  QueueFixture f;
  f.driver.put_available(8);
  f.driver.publish();
  CHECK(f.queue.pop().error() == QueueError::kHeadOutOfRange);
}

TEST_CASE("a chain that is made available twice is not worked on twice") {
  QueueFixture f;
  for (int i = 0; i < 2; ++i) f.driver.put_available(4);
  f.driver.publish();
  CHECK(f.pop() == 4);
  CHECK(f.queue.pop().error() == QueueError::kHeadInFlight);
}

TEST_CASE("ring sizes and places that cannot be are refused at the start") {
  QueueFixture f;
  const QueueLayout good = f.queue.layout();
  const auto start = [&](auto change) {
    Queue queue(f.memory, 256);
    queue.registers() = good;
    change(queue.registers());
    return queue.start();
  };
  CHECK(start([](QueueLayout&) {}) == QueueError::kNone);
  for (const std::uint32_t size : {0u, 3u, 512u, 0x10008u, 0x80000000u}) {
    CHECK(start([&](QueueLayout& layout) { layout.size = size; }) == QueueError::kBadSize);
  }
  CHECK(start([](QueueLayout& layout) { layout.descriptors += 8; }) == QueueError::kRingOutsideMemory);
  CHECK(start([](QueueLayout& layout) { layout.available += 1; }) == QueueError::kRingOutsideMemory);
  CHECK(start([](QueueLayout& layout) { layout.used += 2; }) == QueueError::kRingOutsideMemory);
  CHECK(start([](QueueLayout& layout) { layout.descriptors = (1 << 20) - 16; }) == QueueError::kRingOutsideMemory);
  CHECK(start([](QueueLayout& layout) { layout.used = (1 << 20) - 4; }) == QueueError::kRingOutsideMemory);
  CHECK(start([](QueueLayout& layout) { layout.used = ~3ULL; }) == QueueError::kRingOutsideMemory);
}

TEST_CASE("without event indices the driver's flag decides about interrupts and ours about kicks") {
  QueueFixture f;
  CHECK(f.turn(0));
  f.driver.suppress_interrupts(true);
  CHECK_FALSE(f.turn(1));
  f.driver.suppress_interrupts(false);
  CHECK(f.turn(2));
  f.queue.pause_kicks();
  CHECK(f.driver.used_flags() == virtio::kUsedNoNotify);
  CHECK_FALSE(*f.queue.resume_kicks());
  CHECK(f.driver.used_flags() == 0);
}

TEST_CASE("with event indices one interrupt comes when the awaited chain is given back, and none before or after") {
  QueueFixture f(virtio::kFeatureEventIndex);
  f.driver.suppress_interrupts(true);  // has no meaning now
  f.driver.set_used_event(2);
  CHECK_FALSE(f.turn(0));
  CHECK_FALSE(f.turn(1));
  CHECK(f.turn(2));
  CHECK_FALSE(f.turn(3));
}

TEST_CASE("a batch that passes the awaited index interrupts, even where it goes on further") {
  QueueFixture f(virtio::kFeatureEventIndex);
  f.driver.set_used_event(1);
  for (std::uint16_t head = 0; head < 4; ++head) f.driver.put_available(head);
  f.driver.publish();
  for (std::uint16_t head = 0; head < 4; ++head) {
    f.pop();
    CHECK(f.queue.add_used(head, 0) == QueueError::kNone);
  }
  CHECK(*f.queue.publish());
}

TEST_CASE("event indices work across the wrap at 65536") {
  QueueFixture f(virtio::kFeatureEventIndex);
  unsigned interrupts = 0;
  for (unsigned i = 0; i < 66000; ++i) {
    f.driver.set_used_event(static_cast<std::uint16_t>(i));
    interrupts += f.turn(0) ? 1u : 0u;
  }
  CHECK(interrupts == 66000);
}

TEST_CASE("a chain that arrives between the last look and the request for a bell is not forgotten") {
  for (const std::uint64_t features : {std::uint64_t{0}, virtio::kFeatureEventIndex}) {
    QueueFixture f(features);
    f.queue.pause_kicks();
    CHECK(f.empty());
    f.driver.put_available(0);
    f.driver.publish();  // the driver saw that no bell was wanted
    CHECK(*f.queue.resume_kicks());
  }
}

TEST_CASE("with event indices the device asks to be woken at the next chain") {
  QueueFixture f(virtio::kFeatureEventIndex);
  f.turn(0);
  f.turn(1);
  CHECK_FALSE(*f.queue.resume_kicks());
  CHECK(f.driver.available_event() == 2);
}

TEST_CASE("what the device writes into rings is marked dirty, or a checkpoint would miss it") {
  QueueFixture f;
  f.driver.put_available(0);
  f.driver.publish();
  f.pop();
  f.memory.dirty().take();
  CHECK(f.queue.add_used(0, 0) == QueueError::kNone);
  CHECK(f.memory.dirty().test(f.driver.used().value() / kPageSize));
  f.memory.dirty().take();
  CHECK(*f.queue.publish());
  CHECK(f.memory.dirty().test(f.driver.used().value() / kPageSize));
  f.memory.dirty().take();
  CHECK_FALSE(*f.queue.resume_kicks());
  CHECK(f.memory.dirty().test(f.driver.used().value() / kPageSize));
}

TEST_CASE("a queue that goes on from its saved state neither repeats a chain nor leaves one out") {
  QueueFixture f(virtio::kFeatureEventIndex);
  f.turn(0);
  for (const std::uint16_t head : {1, 2, 3}) f.driver.put_available(head);
  f.driver.publish();
  CHECK(f.pop() == 1);
  CHECK(f.pop() == 2);
  const VirtioQueueStateV1 state = f.queue.save();
  CHECK(state.in_flight == std::vector<std::uint16_t>{1, 2});

  Queue again(f.memory, 256);
  again.check_state(state, "test", false);
  again.restore(state, virtio::kFeatureEventIndex);
  CHECK(again.in_flight().size() == 2);
  CHECK(**again.pop() == 3);
  CHECK(again.add_used(2, 0) == QueueError::kNone);
  CHECK(again.publish().error() == QueueError::kNone);
  CHECK(f.driver.used_index() == 2);
}

}  // namespace tintype
