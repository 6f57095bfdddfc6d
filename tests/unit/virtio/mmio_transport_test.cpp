// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/mmio_transport.h"

#include <doctest/doctest.h>

#include "devices/virtio/spec.h"
#include "tests/support/virtio_blk_rig.h"

namespace tintype {

using namespace virtio;

TEST_CASE("a driver finds what it looks for") {
  VirtioBlkRig rig;
  CHECK(rig.driver.read(kMagicValue) == 0x74726976);
  CHECK(rig.driver.read(kVersion) == 2);
  CHECK(rig.driver.read(kDeviceId) == 2);
  CHECK(rig.driver.read(kQueueNumMax) == 256);
  rig.driver.write(kQueueSel, 1);
  CHECK(rig.driver.read(kQueueNumMax) == 0);
  CHECK(rig.driver.read(0x0b0) == 0xffffffff);
  CHECK(rig.driver.read(0x0bc) == 0xffffffff);
  CHECK(rig.driver.read(0x0c0) == 0);
}

TEST_CASE("the configuration space can be read at every width and offset, and past its end is zero") {
  VirtioBlkRig rig;
  CHECK(bus_in<std::uint64_t>(rig.transport, kConfig) == kRigDisk / 512);
  CHECK(bus_in<std::uint32_t>(rig.transport, kConfig + 12) == 254);
  CHECK(bus_in<std::uint8_t>(rig.transport, kConfig + 21) == 2);
  CHECK(bus_in<std::uint16_t>(rig.transport, kConfig + 34) == 1);
  CHECK(bus_in<std::uint64_t>(rig.transport, kConfig + 68) == 0);
  CHECK(bus_in<std::uint64_t>(rig.transport, kConfig + 72) == 0);
  CHECK(bus_in<std::uint64_t>(rig.transport, 4088) == 0);
}

TEST_CASE("control registers answer only whole, aligned accesses") {
  VirtioBlkRig rig;
  CHECK(bus_in<std::uint8_t>(rig.transport, kMagicValue) == 0);
  CHECK(bus_in<std::uint64_t>(rig.transport, kMagicValue) == 0);
  CHECK(bus_in<std::uint32_t>(rig.transport, kMagicValue + 1) == 0);
  bus_out<std::uint8_t>(rig.transport, kStatus, 1);
  CHECK(rig.driver.status() == 0);
}

TEST_CASE("features that were not offered, or lack VERSION_1, leave FEATURES_OK clear") {
  VirtioBlkRig rig;
  CHECK_FALSE(rig.driver.start(kBlkFlush));
  CHECK_FALSE(rig.driver.start(kFeatureVersion1 | (1ULL << 34)));
  CHECK(rig.driver.start(kFeatureVersion1));
}

TEST_CASE("FEATURES_OK before a driver has shown itself is refused") {
  VirtioBlkRig rig;
  rig.driver.choose_features(kFeatureVersion1);
  rig.driver.write(kStatus, kStatusFeaturesOk);
  CHECK(rig.driver.status() == 0);
}

TEST_CASE("features cannot be changed once they are agreed on") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start(kFeatureVersion1));
  rig.driver.choose_features(~0ULL);
  CHECK(from_record<VirtioBlkStateV2>(rig.save()).transport.driver_features == kFeatureVersion1);
}

TEST_CASE("DRIVER_OK without FEATURES_OK starts nothing") {
  VirtioBlkRig rig;
  rig.driver.write(kStatus, kStatusAcknowledge | kStatusDriver | kStatusDriverOk);
  CHECK(rig.driver.status() == (kStatusAcknowledge | kStatusDriver));
}

TEST_CASE("a driver cannot set DEVICE_NEEDS_RESET nor clear a bit without a reset") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  const std::uint32_t before = rig.driver.status();
  rig.driver.write(kStatus, kStatusNeedsReset | kStatusAcknowledge);
  CHECK(rig.driver.status() == before);
  rig.driver.write(kStatus, 0);
  CHECK(rig.driver.status() == 0);
}

TEST_CASE("chains made available before DRIVER_OK are served, but not before") {
  VirtioBlkRig rig;
  rig.driver.write(kStatus, kStatusAcknowledge | kStatusDriver);
  rig.driver.choose_features(kFeatureVersion1);
  rig.driver.write(kStatus, kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk);
  rig.driver.set_up_queue();
  rig.flush_chain().offer();
  rig.kick();
  CHECK(rig.backend.kicks() == 0);
  rig.driver.write(kStatus, kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk | kStatusDriverOk);
  rig.serve();
  CHECK(rig.backend.kicks() == 1);
}

TEST_CASE("rings moved while running: the device asks for a reset and touches nothing more") {
  for (const std::uint64_t moved : {kQueueNum, kQueueDescLow, kQueueDescHigh, kQueueDriverLow, kQueueDriverHigh,
                                    kQueueDeviceLow, kQueueDeviceHigh}) {
    VirtioBlkRig rig;
    REQUIRE(rig.driver.start());
    const unsigned pulses = rig.irq.pulses();
    rig.driver.write(moved, 8);
    CHECK(rig.driver.needs_reset());
    CHECK(rig.transport.failure() == QueueError::kChangedWhileReady);
    CHECK(rig.irq.pulses() == pulses + 1);
    CHECK(rig.driver.acknowledge() == kInterruptConfigChange);
    rig.flush_chain().offer();
    rig.kick();
    CHECK(rig.backend.kicks() == 0);
    rig.driver.queue().start_over();
    CHECK(rig.driver.start());
    CHECK_FALSE(rig.driver.needs_reset());
  }
}

TEST_CASE("a queue that cannot be where it is said to be: the device asks for a reset") {
  VirtioBlkRig rig;
  rig.driver.write(kQueueNum, 3);
  rig.driver.write(kQueueReady, 1);
  CHECK(rig.driver.needs_reset());
  CHECK(rig.driver.read(kQueueReady) == 0);
  CHECK(rig.irq.pulses() == 0);  // 2.1.2: only a driver that said DRIVER_OK is told
}

TEST_CASE("every way of breaking the rings ends in DEVICE_NEEDS_RESET and one interrupt") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  MockQueue& queue = rig.driver.queue();
  QueueError expected = QueueError::kNone;
  SUBCASE("index jumps") {
    queue.set_available_index(17);
    expected = QueueError::kIndexJumped;
  }
  SUBCASE("loop") {
    queue.put_descriptor(0, {0x8000, 16, kDescriptorNext, 0});
    queue.put_available(0);
    queue.publish();
    expected = QueueError::kChainTooLong;
  }
  SUBCASE("length past memory") {
    queue.chain().descriptor(0x8000, 16, 0).descriptor(0x3ffff0, 512, kDescriptorWrite).offer();
    expected = QueueError::kBufferOutsideMemory;
  }
  SUBCASE("wrong direction") {
    queue.chain().writable(1).readable(pattern(16, 0)).offer();
    expected = QueueError::kReadableAfterWritable;
  }
  SUBCASE("no room for an answer") {
    queue.chain().readable(pattern(16, 0)).offer();
    expected = QueueError::kMalformedRequest;
  }
  SUBCASE("header too short") {
    queue.chain().readable(pattern(15, 0)).writable(1).offer();
    expected = QueueError::kMalformedRequest;
  }
  rig.kick();
  CHECK(rig.driver.needs_reset());
  CHECK(rig.transport.failure() == expected);
  CHECK(rig.irq.pulses() == 1);
  CHECK(rig.driver.acknowledge() == kInterruptConfigChange);
  rig.kick();
  CHECK(rig.irq.pulses() == 1);
}

TEST_CASE("a good request in the same batch as a bad one is not answered, and its late completion harms nobody") {
  VirtioBlkRig rig;
  rig.backend.hold();
  REQUIRE(rig.driver.start());
  const auto good = rig.read_chain(0, 512);
  auto copy = good;
  copy.offer();
  rig.driver.queue().put_available(99);
  rig.driver.queue().publish();
  rig.kick();
  CHECK(rig.driver.needs_reset());
  REQUIRE(rig.backend.pending() == 1);
  rig.backend.finish(0);
  rig.serve();
  CHECK_FALSE(rig.driver.queue().take_used().has_value());
  CHECK(rig.byte_at(good.buffer(2)) == VirtioBlkRig::kUnanswered);
}

TEST_CASE("a reset with requests in flight is over only when the host has finished, and none of them is answered") {
  VirtioBlkRig rig;
  rig.backend.hold();
  REQUIRE(rig.driver.start());
  auto chain = rig.read_chain(0, 512);
  chain.offer();
  rig.kick();
  REQUIRE(rig.backend.pending() == 1);
  rig.driver.write(kStatus, 0);
  CHECK(rig.driver.status() != 0);
  rig.driver.write(kStatus, kStatusAcknowledge);  // too early: ignored
  rig.backend.finish(0);
  rig.serve();
  CHECK(rig.driver.status() == 0);
  CHECK_FALSE(rig.driver.queue().take_used().has_value());
  CHECK(rig.byte_at(chain.buffer(2)) == VirtioBlkRig::kUnanswered);

  rig.backend.hold(false);
  rig.driver.queue().start_over();
  REQUIRE(rig.driver.start());
  auto next = rig.read_chain(0, 512);
  next.offer();
  rig.kick();
  rig.serve();
  CHECK(rig.byte_at(next.buffer(2)) == kBlkOk);
}

TEST_CASE("a reset that had to wait for the host leaves nothing behind that hides a later failure") {
  VirtioBlkRig rig;
  rig.backend.hold();
  REQUIRE(rig.driver.start());
  rig.read_chain(0, 512).offer();
  rig.kick();
  rig.driver.write(kStatus, 0);
  rig.backend.finish_all();
  rig.serve();
  rig.driver.queue().start_over();
  REQUIRE(rig.driver.start());
  rig.read_chain(0, 512).offer();
  rig.kick();
  rig.driver.queue().set_available_index(100);
  rig.kick();
  REQUIRE(rig.backend.pending() == 1);
  CHECK(rig.driver.needs_reset());
  rig.backend.finish_all();
  rig.serve();
}

TEST_CASE("a state saved in the middle of a reset is one of a device that has been reset") {
  VirtioBlkRig rig;
  rig.backend.hold();
  REQUIRE(rig.driver.start());
  rig.read_chain(0, 512).offer();
  rig.kick();
  rig.driver.write(kStatus, 0);
  VirtioBlkRig fresh;
  CHECK(rig.save() == fresh.save());
  rig.backend.finish_all();
  rig.serve();
}

TEST_CASE("a queue that is stopped reads as ready until the host is done with its buffers") {
  VirtioBlkRig rig;
  rig.backend.hold();
  REQUIRE(rig.driver.start());
  rig.read_chain(0, 512).offer();
  rig.kick();
  CHECK(rig.driver.read(kQueueReady) == 1);
  rig.driver.write(kQueueReady, 0);
  CHECK(rig.driver.read(kQueueReady) == 1);
  rig.backend.finish_all();
  rig.serve();
  CHECK(rig.driver.read(kQueueReady) == 0);
  CHECK_FALSE(rig.driver.queue().take_used().has_value());
}

TEST_CASE("an interrupt is acknowledged bit by bit") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  rig.transport.config_changed();
  rig.flush_chain().offer();
  rig.kick();
  rig.serve();
  CHECK(rig.driver.read(kInterruptStatus) == 3);
  rig.driver.write(kInterruptAck, kInterruptUsedBuffer);
  CHECK(rig.driver.read(kInterruptStatus) == kInterruptConfigChange);
}

TEST_CASE("a changed configuration has a new generation") {
  VirtioBlkRig rig;
  const std::uint32_t before = rig.driver.read(kConfigGeneration);
  rig.transport.config_changed();
  CHECK(rig.driver.read(kConfigGeneration) == before + 1);
  CHECK(rig.irq.pulses() == 0);  // there is no driver yet
}

TEST_CASE("rubbish written to every register breaks nothing") {
  VirtioBlkRig rig;
  for (const std::uint32_t value : {0xffffffffu, 0x80000000u, 7u, 1u, 0u}) {
    for (std::uint64_t offset = 0; offset < kVirtioWindow; offset += 4) {
      rig.driver.write(offset, value);
      rig.driver.read(offset);
      rig.serve();
    }
  }
  rig.driver.write(kStatus, 0);
  CHECK(rig.driver.start());
}

}  // namespace tintype
