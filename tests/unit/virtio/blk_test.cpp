// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/blk.h"

#include <doctest/doctest.h>

#include "devices/virtio/spec.h"
#include "tests/support/virtio_blk_rig.h"

namespace tintype {
namespace {

using namespace virtio;

/// Offers the chain, lets everything finish, and gives the status byte, which is the last byte of buffer
/// `status`.
std::uint8_t run(VirtioBlkRig& rig, MockQueue::ChainBuilder chain, std::size_t status) {
  chain.offer();
  rig.kick();
  rig.serve();
  return rig.byte_at(chain.buffer(status));
}

}  // namespace

TEST_CASE("what was written is read back, and the driver is told how much arrived") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  const auto data = pattern(8192, 3);
  CHECK(run(rig, rig.write_chain(16, data), 2) == kBlkOk);
  CHECK(rig.driver.queue().take_used()->length == 1);
  auto read = rig.read_chain(16, 8192);
  CHECK(run(rig, read, 2) == kBlkOk);
  CHECK(bytes_at(rig.memory, read.buffer(1), 8192) == data);
  CHECK(rig.driver.queue().take_used()->length == 8193);
  CHECK(rig.backend.complaint() == "");
}

TEST_CASE("a request may be cut into buffers anywhere") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  const auto data = pattern(1024, 9);
  const auto header = VirtioBlkRig::header(kBlkOut, 2);
  const auto header_bytes = std::as_bytes(std::span(&header, 1));
  std::vector<std::byte> rest(header_bytes.begin() + 5, header_bytes.end());
  rest.insert(rest.end(), data.begin(), data.begin() + 700);
  auto write = rig.driver.queue().chain();
  write.readable(header_bytes.first(5)).readable(rest).readable(std::span(data).subspan(700)).writable(1);
  CHECK(run(rig, write, 3) == kBlkOk);
  CHECK(std::equal(data.begin(), data.end(), rig.backend.content().begin() + 1024));

  auto read = rig.driver.queue().chain();  // the status is the last byte of the last data buffer
  read.readable_value(VirtioBlkRig::header(kBlkIn, 2)).writable(1000).writable(25).indirect();
  read.offer();
  rig.kick();
  rig.serve();
  CHECK(rig.byte_at(Gpa(read.buffer(2).value() + 24)) == kBlkOk);
  CHECK(bytes_at(rig.memory, read.buffer(1), 1000) == std::vector<std::byte>(data.begin(), data.begin() + 1000));
  CHECK(rig.byte_at(Gpa(read.buffer(2).value() + 23)) == std::to_integer<unsigned>(data[1023]));
}

TEST_CASE("requests outside the disk, or not of whole sectors, fail without reaching it") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  const std::uint64_t sectors = kRigDisk / 512;
  CHECK(run(rig, rig.read_chain(sectors, 512), 2) == kBlkIoError);
  CHECK(run(rig, rig.read_chain(sectors - 1, 1024), 2) == kBlkIoError);
  CHECK(run(rig, rig.read_chain(~0ULL, 512), 2) == kBlkIoError);
  CHECK(run(rig, rig.read_chain((1ULL << 55) + 1, 512), 2) == kBlkIoError);  // times 512 this is sector 1 again
  CHECK(run(rig, rig.read_chain(0, 511), 2) == kBlkIoError);
  CHECK(rig.backend.transfers() == 0);
  CHECK(run(rig, rig.read_chain(sectors - 1, 512), 2) == kBlkOk);
  CHECK_FALSE(rig.driver.needs_reset());
}

TEST_CASE("unknown requests are answered as unsupported") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  for (const std::uint32_t type : {2u, 3u, 5u, 10u, 12u, 14u, 0x80000000u, ~0u}) {
    auto chain = rig.driver.queue().chain();
    chain.readable_value(VirtioBlkRig::header(type)).writable(1);
    CHECK(run(rig, chain, 1) == kBlkUnsupported);
  }
}

TEST_CASE("a read-only disk says so and refuses writes") {
  VirtioBlkRig rig(4 << 20, true);
  CHECK((rig.driver.offered_features() & kBlkReadOnly) != 0);
  REQUIRE(rig.driver.start());
  CHECK(run(rig, rig.write_chain(0, pattern(512, 1)), 2) == kBlkIoError);
  CHECK(run(rig, rig.read_chain(0, 512), 2) == kBlkOk);
  CHECK(rig.backend.complaint() == "");
}

TEST_CASE("the serial number fills 20 bytes, or as many as there is room for") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  auto chain = rig.driver.queue().chain();
  chain.readable_value(VirtioBlkRig::header(kBlkGetId)).writable(20).writable(1);
  CHECK(run(rig, chain, 2) == kBlkOk);
  const auto id = bytes_at(rig.memory, chain.buffer(1), 20);
  CHECK(std::memcmp(id.data(), "mock-serial\0\0\0\0\0\0\0\0\0", 20) == 0);
  CHECK(rig.driver.queue().take_used()->length == 21);
  auto small = rig.driver.queue().chain();
  small.readable_value(VirtioBlkRig::header(kBlkGetId)).writable(4).writable(1);
  CHECK(run(rig, small, 2) == kBlkOk);
  CHECK(rig.driver.queue().take_used()->length == 5);
}

TEST_CASE("a failure of the host is an I/O error of the guest") {
  VirtioBlkRig rig;
  rig.backend.hold();
  REQUIRE(rig.driver.start());
  auto chain = rig.read_chain(0, 512);
  chain.offer();
  rig.kick();
  rig.backend.finish(0, EIO);
  rig.serve();
  CHECK(rig.byte_at(chain.buffer(2)) == kBlkIoError);
  CHECK_FALSE(rig.driver.needs_reset());
}

TEST_CASE("requests finish in any order, each answered once") {
  VirtioBlkRig rig;
  rig.backend.hold();
  REQUIRE(rig.driver.start());
  auto first = rig.read_chain(0, 512), second = rig.read_chain(1, 512), third = rig.read_chain(2, 512);
  const std::uint16_t heads[] = {first.offer(), second.offer(), third.offer()};
  rig.kick();
  REQUIRE(rig.backend.pending() == 3);
  rig.backend.finish(2);
  rig.backend.finish(0);
  rig.serve();
  CHECK(rig.driver.queue().take_used()->head == heads[2]);
  CHECK(rig.driver.queue().take_used()->head == heads[0]);
  CHECK_FALSE(rig.driver.queue().take_used().has_value());
  CHECK(rig.byte_at(second.buffer(2)) == VirtioBlkRig::kUnanswered);
  rig.backend.finish(0);
  rig.serve();
  CHECK(rig.driver.queue().take_used()->head == heads[1]);
}

TEST_CASE("a batch of requests is one kick of the host and one interrupt of the guest") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  for (int i = 0; i < 5; ++i) rig.read_chain(0, 512).offer();
  rig.kick();
  CHECK(rig.backend.kicks() == 1);
  rig.serve();
  CHECK(rig.irq.pulses() == 1);
}

TEST_CASE("a driver that does not know FLUSH never sees a write finish that could still be lost") {
  VirtioBlkRig rig;
  rig.backend.hold();
  REQUIRE(rig.driver.start(kFeatureVersion1));
  auto chain = rig.write_chain(0, pattern(512, 1));
  chain.offer();
  rig.kick();
  rig.backend.finish(0);
  rig.serve();
  CHECK(rig.byte_at(chain.buffer(2)) == VirtioBlkRig::kUnanswered);
  REQUIRE(rig.backend.pending() == 1);
  CHECK(rig.backend.request(0).operation == BlockOperation::kFlush);
  rig.backend.finish(0);
  rig.serve();
  CHECK(rig.byte_at(chain.buffer(2)) == kBlkOk);
}

TEST_CASE("where the driver knows FLUSH a write is not flushed, and a FLUSH is") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  CHECK(run(rig, rig.write_chain(0, pattern(512, 1)), 2) == kBlkOk);
  CHECK(rig.backend.flushes() == 0);
  CHECK(run(rig, rig.flush_chain(), 1) == kBlkOk);
  CHECK(rig.backend.flushes() == 1);
}

TEST_CASE("data that the host read is marked dirty when it has landed, or a checkpoint would miss it") {
  VirtioBlkRig rig;
  rig.backend.hold();
  REQUIRE(rig.driver.start());
  auto chain = rig.driver.queue().chain();
  chain.readable_value(VirtioBlkRig::header(kBlkIn)).descriptor(0x200000, 8192, kDescriptorWrite).writable(1);
  chain.offer();
  rig.kick();
  rig.memory.dirty().take();
  int error = 0;
  SUBCASE("and the driver waits for it") {}
  SUBCASE("and the host failed half-way") { error = EIO; }
  SUBCASE("and nobody waits for it any more") { rig.driver.write(kStatus, 0); }
  rig.backend.finish(0, error);
  rig.serve();
  CHECK(rig.memory.dirty().test(0x200));
  CHECK(rig.memory.dirty().test(0x201));
}

TEST_CASE("requests of no length are answered without asking the host") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  auto chain = rig.driver.queue().chain();
  chain.readable_value(VirtioBlkRig::header(kBlkIn)).writable(1);
  CHECK(run(rig, chain, 1) == kBlkOk);
  CHECK(rig.backend.kicks() == 0);
}

TEST_CASE("a request larger than the device promised to take fails, even where the disk is large enough") {
  VirtioBlkRig rig(256 << 20);
  REQUIRE(rig.driver.start());
  Queue queue(rig.memory, 256);
  queue.registers() = {16, rig.driver.queue().descriptors().value(), rig.driver.queue().available().value(),
                       rig.driver.queue().used().value()};
  const auto parse = [&](std::uint32_t length) {
    auto builder = rig.driver.queue().chain();
    builder.readable_value(VirtioBlkRig::header(kBlkIn)).writable(length).writable(1);
    DescriptorChain chain;
    REQUIRE(chain.walk(rig.memory, queue, builder.write()) == QueueError::kNone);
    BlkCommand command;
    REQUIRE(parse_blk_request(chain, {1ULL << 40, false}, command) == QueueError::kNone);
    return command.action;
  };
  CHECK(parse(64 << 20) == BlkAction::kRead);
  CHECK(parse((64 << 20) + 512) == BlkAction::kRefuse);
}

TEST_CASE("a queue that is used again after it was stopped waits for free slots and loses nothing") {
  VirtioBlkRig rig(64 << 20);
  MockDriver big(rig.transport, rig.memory, 256, 1 << 20);
  rig.backend.hold();
  REQUIRE(big.start());
  const auto offer_all = [&] {
    for (int i = 0; i < 256; ++i) {
      auto chain = big.queue().chain();
      chain.readable_value(VirtioBlkRig::header(kBlkIn)).writable(512).writable(1).indirect().offer();
    }
    for (int batch = 0; batch < 5; ++batch) big.kick(), rig.serve();
  };
  offer_all();
  REQUIRE(rig.backend.pending() == 256);
  big.write(kQueueReady, 0);  // the host still works on all of them
  big.queue().start_over();
  big.write(kQueueReady, 1);
  offer_all();
  CHECK(rig.backend.pending() == 256);
  rig.backend.finish_all();
  for (int batch = 0; batch < 8; ++batch) rig.serve();
  rig.backend.finish_all();
  rig.serve();
  int answered = 0;
  while (big.queue().take_used()) ++answered;
  CHECK(answered == 256);
  CHECK_FALSE(big.needs_reset());
}

}  // namespace tintype
