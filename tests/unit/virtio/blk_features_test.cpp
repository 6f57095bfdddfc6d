// SPDX-License-Identifier: Apache-2.0
// What a disk can do beyond reading, writing and flushing, and what of it is saved.
#include <doctest/doctest.h>

#include "devices/virtio/blk.h"
#include "devices/virtio/spec.h"
#include "tests/support/bus_access.h"
#include "tests/support/virtio_blk_rig.h"

namespace tintype {
namespace {

using namespace virtio;

constexpr std::uint64_t kWriteback = kConfig + offsetof(BlkConfig, writeback);

/// Offers the chain, lets everything finish, and gives the status byte, which is the last byte of buffer `status`.
std::uint8_t answer(VirtioBlkRig& rig, MockQueue::ChainBuilder chain, std::size_t status) {
  chain.offer();
  rig.kick();
  for (int i = 0; i < 4; ++i) rig.serve();  // a flush may follow
  return rig.byte_at(chain.buffer(status));
}

std::uint8_t zero(VirtioBlkRig& rig, std::uint32_t type, const BlkZeroSegment& segment) {
  auto chain = rig.driver.queue().chain();
  chain.readable_value(VirtioBlkRig::header(type)).readable_value(segment).writable(1);
  return answer(rig, chain, 2);
}

bool disk_holds(VirtioBlkRig& rig, std::uint64_t sector, std::uint64_t count, std::uint8_t value) {
  const auto* first = rig.backend.content().data() + sector * 512;
  return std::all_of(first, first + count * 512, [&](std::byte byte) { return byte == std::byte{value}; });
}

void fill_disk(VirtioBlkRig& rig, std::uint8_t value) {
  std::fill(rig.backend.content().begin(), rig.backend.content().end(), std::byte{value});
}

}  // namespace

TEST_CASE("what is discarded, or written with zeros, is zeros, and nothing beside it is") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  fill_disk(rig, 0x77);
  CHECK(zero(rig, kBlkDiscard, {8, 16, 0}) == kBlkOk);
  CHECK(zero(rig, kBlkWriteZeroes, {40, 1, 0}) == kBlkOk);
  CHECK(zero(rig, kBlkWriteZeroes, {42, 2, kBlkUnmap}) == kBlkOk);
  CHECK(zero(rig, kBlkDiscard, {100, 0, 0}) == kBlkOk);
  CHECK(disk_holds(rig, 8, 16, 0));
  CHECK(disk_holds(rig, 40, 1, 0));
  CHECK(disk_holds(rig, 42, 2, 0));
  for (const std::uint64_t sector : {7, 24, 39, 41, 44, 100}) CHECK(disk_holds(rig, sector, 1, 0x77));
  CHECK(rig.backend.complaint() == "");
}

TEST_CASE("a discard that asks for what cannot be fails and changes nothing") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  fill_disk(rig, 0x77);
  const std::uint32_t sectors = kRigDisk / 512;
  CHECK(zero(rig, kBlkDiscard, {sectors, 1, 0}) == kBlkIoError);
  CHECK(zero(rig, kBlkDiscard, {sectors - 1, 2, 0}) == kBlkIoError);
  CHECK(zero(rig, kBlkDiscard, {1ULL << 55, 1, 0}) == kBlkIoError);
  CHECK(zero(rig, kBlkDiscard, {0, ~0U, 0}) == kBlkIoError);
  CHECK(zero(rig, kBlkDiscard, {0, 1, kBlkUnmap}) == kBlkUnsupported);
  CHECK(zero(rig, kBlkWriteZeroes, {0, 1, 2}) == kBlkUnsupported);
  CHECK(zero(rig, kBlkWriteZeroes, {0, kBlkMaxWriteZeroes + 1, 0}) == kBlkIoError);
  auto two = rig.driver.queue().chain();  // more segments than the device says it takes
  two.readable_value(VirtioBlkRig::header(kBlkDiscard)).readable_value(BlkZeroSegment{0, 1, 0});
  two.readable_value(BlkZeroSegment{8, 1, 0}).writable(1);
  CHECK(answer(rig, two, 3) == kBlkIoError);
  auto none = rig.driver.queue().chain();
  none.readable_value(VirtioBlkRig::header(kBlkDiscard)).writable(1);
  CHECK(answer(rig, none, 1) == kBlkIoError);
  CHECK(disk_holds(rig, 0, sectors, 0x77));
  CHECK_FALSE(rig.driver.needs_reset());
}

TEST_CASE("a read-only disk offers no discard and does none") {
  VirtioBlkRig rig(4 << 20, true);
  CHECK((rig.driver.offered_features() & (kBlkDiscardBit | kBlkWriteZeroesBit)) == 0);
  REQUIRE(rig.driver.start());
  fill_disk(rig, 0x77);
  CHECK(zero(rig, kBlkDiscard, {0, 8, 0}) == kBlkIoError);
  CHECK(disk_holds(rig, 0, 8, 0x77));
}

TEST_CASE("a driver that switches the cache off is answered when its write is durable, until the device is reset") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  CHECK(bus_in(rig.transport, kWriteback) == 1);
  CHECK(answer(rig, rig.write_chain(0, pattern(512, 1)), 2) == kBlkOk);
  CHECK(rig.backend.flushes() == 0);
  bus_out(rig.transport, kWriteback, 0);
  CHECK(bus_in(rig.transport, kWriteback) == 0);
  CHECK(answer(rig, rig.write_chain(0, pattern(512, 2)), 2) == kBlkOk);
  CHECK(rig.backend.flushes() == 1);
  CHECK(zero(rig, kBlkDiscard, {8, 8, 0}) == kBlkOk);
  CHECK(rig.backend.flushes() == 2);
  bus_out(rig.transport, kWriteback, 1);
  CHECK(answer(rig, rig.write_chain(0, pattern(512, 3)), 2) == kBlkOk);
  CHECK(rig.backend.flushes() == 2);
  bus_out(rig.transport, kWriteback, 0);
  REQUIRE(rig.driver.start());
  CHECK(bus_in(rig.transport, kWriteback) == 1);
}

TEST_CASE("a driver that did not agree on CONFIG_WCE cannot switch the cache off") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start(rig.driver.offered_features() & ~kBlkConfigWriteback));
  bus_out(rig.transport, kWriteback, 0);
  CHECK(answer(rig, rig.write_chain(0, pattern(512, 1)), 2) == kBlkOk);
  CHECK(rig.backend.flushes() == 0);
}

TEST_CASE("whether the cache is on is saved, and written through after the restore") {
  VirtioBlkRig rig, again;
  REQUIRE(rig.driver.start());
  bus_out(rig.transport, kWriteback, 0);
  again.transport.restore_state(rig.save());
  again.serve();
  CHECK(bus_in(again.transport, kWriteback) == 0);
  CHECK(from_record<VirtioBlkStateV2>(again.save()).writeback == false);
}

TEST_CASE("the state of an older program, with its one queue, is taken by a disk with several") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  const auto now = from_record<VirtioBlkStateV2>(rig.save());
  const VirtioBlkStateV1 old{now.transport, now.capacity, now.read_only, now.serial};
  VirtioBlkRig again(4 << 20, false, 4);
  again.transport.restore_state(to_record(old));
  again.serve();
  CHECK(bus_in(again.transport, kWriteback) == 1);
  CHECK(from_record<VirtioBlkStateV2>(again.save()).transport.queues[0] == now.transport.queues[0]);
}

TEST_CASE("blocks of 4096 bytes are told to the driver, and half of one is refused") {
  VirtioBlkRig rig;
  rig.backend.set_block_size(4096);
  VirtioBlk blk(rig.backend);
  BlkConfig config;
  std::memcpy(&config, blk.config().data(), sizeof config);
  CHECK(config.blk_size == 4096);
  CHECK(config.physical_block_exp == 0);
  CHECK(config.capacity == kRigDisk / 512);
  const BlkLimits limits{kRigDisk, false, 4096};
  BlkCommand command;
  DescriptorChain chain;
  Queue queue(rig.memory, 16);
  REQUIRE(rig.driver.start());
  queue.registers() = {rig.driver.queue().size(), rig.driver.queue().descriptors().value(),
                       rig.driver.queue().available().value(), rig.driver.queue().used().value()};
  REQUIRE(queue.start() == QueueError::kNone);
  const auto action = [&](std::uint64_t sector, std::uint32_t length) {
    REQUIRE(chain.walk(rig.memory, queue, rig.read_chain(sector, length).write()) == QueueError::kNone);
    REQUIRE(parse_blk_request(chain, limits, command) == QueueError::kNone);
    return command.action;
  };
  CHECK(action(8, 4096) == BlkAction::kRead);
  CHECK(action(8, 512) == BlkAction::kRefuse);
  CHECK(action(4, 4096) == BlkAction::kRefuse);
}

TEST_CASE("a disk that had other blocks when it was saved is refused") {
  VirtioBlkRig rig;
  auto state = from_record<VirtioBlkStateV2>(rig.save());
  state.block_size = 4096;
  CHECK_THROWS_AS(rig.transport.check_state(to_record(state)), StateError);
}

TEST_CASE("of several queues each is served, and stopping one leaves the requests of the others alone") {
  VirtioBlkRig rig(4 << 20, false, 3);
  CHECK((rig.driver.offered_features() & kBlkMultiQueue) != 0);
  CHECK(bus_in<std::uint16_t>(rig.transport, kConfig + offsetof(BlkConfig, num_queues)) == 3);
  REQUIRE(rig.driver.start());
  MockQueue second(rig.memory, rig.driver.heap(), 16);
  rig.driver.set_up_queue(second, 2);
  rig.backend.hold();
  auto first_read = rig.read_chain(0, 512);
  first_read.offer();
  rig.kick();
  auto header = VirtioBlkRig::header(kBlkIn, 1);
  auto second_read = second.chain();
  second_read.readable_value(header).writable(512).writable(1);
  second_read.offer();
  bus_out<std::uint32_t>(rig.transport, kQueueNotify, 2);
  rig.serve();
  REQUIRE(rig.backend.pending() == 2);
  rig.driver.write(kQueueSel, 2);
  rig.driver.write(kQueueReady, 0);
  rig.backend.finish_all();
  rig.serve();
  CHECK(rig.driver.queue().take_used().has_value());
  CHECK(rig.byte_at(first_read.buffer(2)) == kBlkOk);
  CHECK_FALSE(second.take_used().has_value());
}

TEST_CASE("after a restore the requests of every queue are issued again, and every queue is looked at") {
  VirtioBlkRig rig(4 << 20, false, 3);
  REQUIRE(rig.driver.start());
  MockQueue third(rig.memory, rig.driver.heap(), 16);
  rig.driver.set_up_queue(third, 2);
  rig.backend.hold();
  const auto read = [&] {
    auto chain = third.chain();
    chain.readable_value(VirtioBlkRig::header(kBlkIn, 1)).writable(512).writable(1).offer();
  };
  read();
  bus_out<std::uint32_t>(rig.transport, kQueueNotify, 2);
  rig.serve();
  REQUIRE(rig.backend.pending() == 1);
  read();  // the bell for this one is lost with the machine
  const StateRecord saved = rig.save();
  MockBlockBackend backend(kRigDisk);
  FakeIrqLine irq;
  VirtioBlk blk(backend, 3);
  MmioTransport transport("disk0", rig.memory, irq, blk);
  transport.restore_state(saved);
  for (int i = 0; i < 3; ++i) transport.serve_everything();
  CHECK(third.take_used().has_value());
  CHECK(third.take_used().has_value());
  CHECK(irq.pulses() > 0);
}

}  // namespace tintype
