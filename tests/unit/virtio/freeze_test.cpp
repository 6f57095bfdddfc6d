// SPDX-License-Identifier: Apache-2.0
// Freezing, saving and going on: where machines that are photographed lose requests, or do them twice.
#include <cstring>

#include <doctest/doctest.h>

#include "devices/virtio/spec.h"
#include "tests/support/virtio_blk_rig.h"

namespace tintype {
namespace {

using namespace virtio;

/// A second machine with the first one's memory and disk, as a restore makes it.
void copy_machine(VirtioBlkRig& from, VirtioBlkRig& to) {
  for (std::size_t i = 0; i < from.memory.regions().size(); ++i) {
    std::memcpy(to.memory.regions()[i].host, from.memory.regions()[i].host, from.memory.regions()[i].size);
  }
  to.backend.content() = from.backend.content();
  const StateRecord state = from.save();
  to.transport.check_state(state);
  to.transport.restore_state(state);
}

}  // namespace

TEST_CASE("a completion between freeze and thaw waits, and touches nothing meanwhile") {
  VirtioBlkRig rig;
  rig.backend.hold();
  REQUIRE(rig.driver.start());
  auto chain = rig.write_chain(0, pattern(512, 1));
  const std::uint16_t head = chain.offer();
  rig.kick();
  rig.transport.start();
  rig.transport.freeze();
  const StateRecord before = rig.transport.save_state();
  rig.backend.finish(0);  // rings the bell of the I/O thread
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(rig.transport.save_state() == before);
  CHECK(rig.byte_at(chain.buffer(2)) == VirtioBlkRig::kUnanswered);
  CHECK(rig.driver.queue().used_index() == 0);
  rig.transport.thaw();
  for (int i = 0; i < 2000 && rig.driver.queue().used_index() == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(rig.driver.queue().take_used()->head == head);
  rig.transport.stop();
}

TEST_CASE(
    "requests in flight at the capture are issued again after the restore, in their order, and answered "
    "once") {
  VirtioBlkRig rig;
  rig.backend.hold();
  REQUIRE(rig.driver.start());
  const auto data = pattern(1024, 5);
  auto write = rig.write_chain(8, data);
  auto read = rig.read_chain(0, 512);
  auto flush = rig.flush_chain();
  const std::uint16_t heads[] = {write.offer(), read.offer(), flush.offer()};
  rig.kick();
  REQUIRE(rig.backend.pending() == 3);

  VirtioBlkRig again;
  again.backend.hold();
  copy_machine(rig, again);
  CHECK(again.backend.pending() == 0);
  again.serve();
  REQUIRE(again.backend.pending() == 3);
  CHECK(again.backend.request(0).operation == BlockOperation::kWrite);
  CHECK(again.backend.request(1).operation == BlockOperation::kRead);
  CHECK(again.backend.request(2).operation == BlockOperation::kFlush);
  again.backend.finish_all();
  again.serve();
  CHECK(std::equal(data.begin(), data.end(), again.backend.content().begin() + 8 * 512));
  for (const std::uint16_t head : heads) CHECK(again.driver.queue().take_used()->head == head);
  CHECK_FALSE(again.driver.queue().take_used().has_value());
  CHECK(again.byte_at(write.buffer(2)) == kBlkOk);
  CHECK(again.byte_at(read.buffer(2)) == kBlkOk);
  CHECK(again.byte_at(flush.buffer(1)) == kBlkOk);
  CHECK_FALSE(again.driver.needs_reset());
}

TEST_CASE("a bell that rang at the instant of capture and was heard by nobody is not missed after the restore") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  auto chain = rig.read_chain(0, 512);
  chain.offer();  // and kicked; the kick died with the old machine
  VirtioBlkRig again;
  copy_machine(rig, again);
  again.serve();
  again.serve();
  CHECK(again.byte_at(chain.buffer(2)) == kBlkOk);
}

TEST_CASE("an interrupt that was on its way at the capture is raised again, even where no status bit was left") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  rig.read_chain(0, 512).offer();
  rig.kick();
  rig.serve();
  rig.driver.acknowledge();
  VirtioBlkRig again;
  copy_machine(rig, again);
  CHECK(again.irq.pulses() == 0);  // not before the interrupt controllers are in place
  again.serve();
  CHECK(again.irq.pulses() == 1);
  CHECK(again.driver.acknowledge() == kInterruptUsedBuffer);
}

TEST_CASE("a device that was never started stays quiet after a restore") {
  VirtioBlkRig rig, again;
  copy_machine(rig, again);
  again.serve();
  CHECK(again.irq.pulses() == 0);
}

TEST_CASE("a checkpoint taken right after a restore still holds the requests that were to be issued again") {
  VirtioBlkRig rig;
  rig.backend.hold();
  REQUIRE(rig.driver.start());
  rig.read_chain(0, 512).offer();
  rig.read_chain(1, 512).offer();
  rig.kick();
  const StateRecord first = rig.save();
  VirtioBlkRig again;
  copy_machine(rig, again);
  CHECK(again.save() == first);  // its thread has not begun
}

TEST_CASE("a restored request whose descriptors are rubbish makes the device ask for a reset") {
  VirtioBlkRig rig;
  rig.backend.hold();
  REQUIRE(rig.driver.start());
  const std::uint16_t head = rig.read_chain(0, 512).offer();
  rig.kick();
  rig.driver.queue().put_descriptor(head, {0x10, 16, kDescriptorNext, head});
  VirtioBlkRig again;
  copy_machine(rig, again);
  again.serve();
  CHECK(again.driver.needs_reset());
  CHECK(again.backend.pending() == 0);
  CHECK(again.driver.acknowledge() == kInterruptConfigChange);
}

TEST_CASE("a device that went back in time does not answer requests of its abandoned future") {
  VirtioBlkRig rig;
  rig.backend.hold();
  REQUIRE(rig.driver.start());
  const StateRecord quiet = rig.save();
  auto chain = rig.read_chain(0, 512);
  chain.offer();
  rig.kick();
  REQUIRE(rig.backend.pending() == 1);
  rig.transport.restore_state(quiet);
  rig.driver.queue().set_available_index(0);
  rig.backend.finish(0);
  rig.serve();
  CHECK(rig.byte_at(chain.buffer(2)) == VirtioBlkRig::kUnanswered);
  CHECK_FALSE(rig.driver.queue().take_used().has_value());
}

TEST_CASE("the driver that resets a device right after a restore is not answered for what was in flight") {
  VirtioBlkRig rig;
  rig.backend.hold();
  REQUIRE(rig.driver.start());
  rig.read_chain(0, 512).offer();
  rig.kick();
  for (const std::uint64_t how : {kStatus, kQueueReady}) {
    VirtioBlkRig again;
    again.backend.hold();
    copy_machine(rig, again);
    again.driver.write(how, 0);
    again.serve();
    CHECK(again.backend.pending() == 0);
  }
}

TEST_CASE("a state that does not fit the disk or the memory is refused in one sentence and changes nothing") {
  VirtioBlkRig rig;
  rig.backend.hold();
  REQUIRE(rig.driver.start());
  rig.read_chain(0, 512).offer();
  rig.kick();
  const auto good = from_record<VirtioBlkStateV2>(rig.save());
  VirtioBlkRig other;
  const StateRecord untouched = other.save();
  const auto refused = [&](auto change) {
    VirtioBlkStateV2 state = good;
    change(state, state.transport.queues[0]);
    CHECK_THROWS_AS(other.transport.check_state(to_record(state)), StateError);
    CHECK_THROWS_AS(other.transport.restore_state(to_record(state)), StateError);
    CHECK(other.save() == untouched);
  };
  using Blk = VirtioBlkStateV2;
  using Ring = VirtioQueueStateV1;
  refused([](Blk& blk, Ring&) { blk.capacity += 512; });
  refused([](Blk& blk, Ring&) { blk.read_only = true; });
  refused([](Blk& blk, Ring&) { blk.serial = "other"; });
  refused([](Blk& blk, Ring&) { blk.transport.status |= 0x10; });
  refused([](Blk& blk, Ring&) { blk.transport.status = kStatusDriverOk; });
  refused([](Blk& blk, Ring&) { blk.transport.status = kStatusFeaturesOk; });
  refused([](Blk& blk, Ring&) { blk.transport.status &= ~kStatusDriverOk; });
  refused([](Blk& blk, Ring&) { blk.transport.interrupt_status = 4; });
  refused([](Blk& blk, Ring&) { blk.transport.driver_features |= 1ULL << 34; });
  refused([](Blk& blk, Ring&) { blk.transport.driver_features &= ~kFeatureVersion1; });
  refused([](Blk& blk, Ring&) { blk.transport.queues.clear(); });
  refused([](Blk& blk, Ring& ring) { blk.transport.queues.push_back(ring); });
  refused([](Blk&, Ring& ring) { ring.size = 24; });
  refused([](Blk&, Ring& ring) { ring.size = 512; });
  refused([](Blk&, Ring& ring) { ring.descriptors = 4 << 20; });
  refused([](Blk&, Ring& ring) { ring.available += 1; });
  refused([](Blk&, Ring& ring) { ring.used = ~3ULL; });
  refused([](Blk&, Ring& ring) { ring.in_flight = {16}; });
  refused([](Blk&, Ring& ring) { ring.in_flight = {1, 1}, ring.next_available = 2; });
  refused([](Blk&, Ring& ring) { ring.in_flight.clear(); });
  refused([](Blk&, Ring& ring) { ring.next_available += 1; });
  refused([](Blk&, Ring& ring) { ring.ready = false; });
  CHECK_NOTHROW(other.transport.check_state(to_record(good)));
}

}  // namespace tintype
