// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/chain.h"

#include <doctest/doctest.h>

#include "devices/virtio/spec.h"
#include "tests/support/mock_driver.h"

namespace tintype {
namespace {

using namespace virtio;

struct ChainFixture {
  explicit ChainFixture(std::uint64_t memory_size = 1 << 20, std::uint64_t features = kFeatureIndirectDescriptors)
      : memory(memory_size), driver(memory, heap, 8) {
    queue.registers() = {8, driver.descriptors().value(), driver.available().value(), driver.used().value()};
    REQUIRE(queue.start() == QueueError::kNone);
    queue.set_features(features);
  }
  QueueError walk(std::uint16_t head = 0) { return chain.walk(memory, queue, head); }

  GuestMemory memory;
  MockHeap heap{memory, 0x1000};
  MockQueue driver;
  Queue queue{memory, 16};
  DescriptorChain chain;
};

std::vector<std::byte> bytes(std::size_t count, int value) { return std::vector<std::byte>(count, std::byte(value)); }

}  // namespace

TEST_CASE("a chain of several buffers is found whole, readable before writable") {
  ChainFixture f;
  auto builder = f.driver.chain();
  builder.readable(bytes(16, 1)).readable(bytes(100, 2)).writable(512).writable(1);
  SUBCASE("direct") {}
  SUBCASE("indirect") { builder.indirect(); }
  REQUIRE(f.walk(builder.write()) == QueueError::kNone);
  CHECK(f.chain.readable_bytes() == 116);
  CHECK(f.chain.writable_bytes() == 513);
  CHECK(f.chain.readable().size() == 2);
  CHECK(f.chain.writable().size() == 2);
  CHECK(f.chain.writable()[0].address == builder.buffer(2));
  CHECK(f.chain.readable()[1].host[99] == std::byte{2});
}

TEST_CASE("a loop of descriptors ends the walk") {
  ChainFixture f;
  f.driver.put_descriptor(0, {0x8000, 16, kDescriptorNext, 1});
  f.driver.put_descriptor(1, {0x8000, 16, kDescriptorNext, 0});
  CHECK(f.walk() == QueueError::kChainTooLong);
  CHECK(f.chain.readable().empty());
  f.driver.put_descriptor(0, {0x8000, 16, kDescriptorNext, 0});
  CHECK(f.walk() == QueueError::kChainTooLong);
}

TEST_CASE("a chain as long as the queue is fine, and one longer is not") {
  ChainFixture f;
  for (std::uint16_t i = 0; i < 8; ++i) {
    f.driver.put_descriptor(
        i, {0x8000, 1, static_cast<std::uint16_t>(i < 7 ? kDescriptorNext : 0), static_cast<std::uint16_t>(i + 1)});
  }
  CHECK(f.walk() == QueueError::kNone);
  CHECK(f.chain.readable_bytes() == 8);
  f.driver.put_descriptor(7, {0x8000, 1, kDescriptorNext, 0});
  CHECK(f.walk() == QueueError::kChainTooLong);
}

TEST_CASE("a loop inside an indirect table ends the walk") {
  ChainFixture f;
  const Descriptor table[2] = {{0x8000, 1, kDescriptorNext, 1}, {0x8000, 1, kDescriptorNext, 0}};
  const Gpa where = f.heap.put(std::as_bytes(std::span(table)));
  f.driver.put_descriptor(0, {where.value(), sizeof table, kDescriptorIndirect, 0});
  CHECK(f.walk() == QueueError::kChainTooLong);
}

TEST_CASE("a next that names no descriptor is refused") {
  ChainFixture f;
  f.driver.put_descriptor(0, {0x8000, 16, kDescriptorNext, 8});
  CHECK(f.walk() == QueueError::kNextOutOfRange);
  const Descriptor table[1] = {{0x8000, 1, kDescriptorNext, 1}};
  const Gpa where = f.heap.put(std::as_bytes(std::span(table)));
  f.driver.put_descriptor(0, {where.value(), sizeof table, kDescriptorIndirect, 0});
  CHECK(f.walk() == QueueError::kNextOutOfRange);
}

TEST_CASE("readable buffers after writable ones are refused, empty ones included") {
  ChainFixture f;
  f.driver.put_descriptor(0, {0x8000, 16, kDescriptorNext | kDescriptorWrite, 1});
  f.driver.put_descriptor(1, {0x8000, 16, 0, 0});
  CHECK(f.walk() == QueueError::kReadableAfterWritable);
  f.driver.put_descriptor(0, {0x8000, 0, kDescriptorNext | kDescriptorWrite, 1});
  CHECK(f.walk() == QueueError::kReadableAfterWritable);
}

TEST_CASE("buffers outside memory are refused, whatever their sums come to") {
  ChainFixture f;
  for (const auto& [address, length] : std::initializer_list<std::pair<std::uint64_t, std::uint32_t>>{
           {1 << 20, 1}, {(1 << 20) - 1, 2}, {~0ULL, 1}, {~0ULL - 15, 32}, {0x8000, 0xffffffff}, {1ULL << 63, 16}}) {
    f.driver.put_descriptor(0, {address, length, 0, 0});
    CHECK(f.walk() == QueueError::kBufferOutsideMemory);
  }
}

TEST_CASE("a buffer across the hole below 4 GiB is refused, one on either side is not") {
  ChainFixture f(kHoleStart + (16 << 20));
  f.driver.put_descriptor(0, {kHoleStart - 16, 16, 0, 0});
  CHECK(f.walk() == QueueError::kNone);
  f.driver.put_descriptor(0, {kHoleStart - 16, 17, 0, 0});
  CHECK(f.walk() == QueueError::kBufferOutsideMemory);
  f.driver.put_descriptor(0, {kHoleEnd - 1, 16, 0, 0});
  CHECK(f.walk() == QueueError::kBufferOutsideMemory);
  f.driver.put_descriptor(0, {kHoleEnd, 16, 0, 0});
  CHECK(f.walk() == QueueError::kNone);
}

TEST_CASE("lengths that sum to 4 GiB or more are refused, not taken modulo 4 GiB") {
  ChainFixture f(kHoleStart);
  f.driver.put_descriptor(0, {0, 0x80000000, kDescriptorNext, 1});
  f.driver.put_descriptor(1, {0, 0x80000000, 0, 0});
  CHECK(f.walk() == QueueError::kTooManyBytes);
  f.driver.put_descriptor(1, {0, 0x7fffffff, 0, 0});
  CHECK(f.walk() == QueueError::kNone);
}

TEST_CASE("empty buffers give nothing, and their addresses mean nothing") {
  ChainFixture f;
  f.driver.put_descriptor(0, {~0ULL, 0, kDescriptorNext, 1});
  f.driver.put_descriptor(1, {0x8000, 5, 0, 0});
  REQUIRE(f.walk() == QueueError::kNone);
  CHECK(f.chain.readable().size() == 1);
  CHECK(f.chain.readable_bytes() == 5);
}

TEST_CASE("indirect tables that are not allowed are refused") {
  ChainFixture f;
  const Descriptor nested[1] = {{0x8000, 16, kDescriptorIndirect, 0}};
  const Gpa where = f.heap.put(std::as_bytes(std::span(nested)));
  SUBCASE("nested") { f.driver.put_descriptor(0, {where.value(), 16, kDescriptorIndirect, 0}); }
  SUBCASE("chained on") { f.driver.put_descriptor(0, {where.value(), 16, kDescriptorIndirect | kDescriptorNext, 1}); }
  SUBCASE("empty") { f.driver.put_descriptor(0, {where.value(), 0, kDescriptorIndirect, 0}); }
  SUBCASE("half a descriptor") { f.driver.put_descriptor(0, {where.value(), 24, kDescriptorIndirect, 0}); }
  CHECK(f.walk() == QueueError::kBadIndirectTable);
}

TEST_CASE("an indirect table outside memory is refused") {
  ChainFixture f;
  for (const unsigned long long address : {1ULL << 20, ~0ULL - 15, ~0ULL}) {
    f.driver.put_descriptor(0, {address, 64, kDescriptorIndirect, 0});
    CHECK(f.walk() == QueueError::kRingOutsideMemory);
  }
}

TEST_CASE("indirect descriptors that were not negotiated are refused") {
  ChainFixture f(1 << 20, 0);
  auto builder = f.driver.chain();
  builder.readable(bytes(16, 1)).indirect();
  CHECK(f.walk(builder.write()) == QueueError::kBadIndirectTable);
}

TEST_CASE("direct descriptors may lead to an indirect table, whose own direction flag means nothing") {
  ChainFixture f;
  const Descriptor table[1] = {{0x9000, 7, kDescriptorWrite, 0}};
  const Gpa where = f.heap.put(std::as_bytes(std::span(table)));
  f.driver.put_descriptor(0, {0x8000, 16, kDescriptorNext, 1});
  f.driver.put_descriptor(1, {where.value(), 16, kDescriptorIndirect | kDescriptorWrite, 0});
  REQUIRE(f.walk() == QueueError::kNone);
  CHECK(f.chain.readable_bytes() == 16);
  CHECK(f.chain.writable_bytes() == 7);
}

TEST_CASE("bytes are found at any offset, across the cuts between buffers") {
  ChainFixture f;
  auto builder = f.driver.chain();
  builder.readable(bytes(3, 1)).readable(bytes(4, 2)).readable(bytes(5, 3));
  REQUIRE(f.walk(builder.write()) == QueueError::kNone);
  std::vector<std::byte> out(6);
  REQUIRE(copy_from(f.chain.readable(), 2, out));
  CHECK(out ==
        std::vector<std::byte>{std::byte{1}, std::byte{2}, std::byte{2}, std::byte{2}, std::byte{2}, std::byte{3}});
  out.resize(12);
  CHECK(copy_from(f.chain.readable(), 0, out));
  CHECK_FALSE(copy_from(f.chain.readable(), 1, out));

  std::vector<ChainBuffer> slice;
  append_slice(f.chain.readable(), 2, 6, slice);
  REQUIRE(slice.size() == 3);
  CHECK(slice[0].host.size() == 1);
  CHECK(slice[0].address.value() == builder.buffer(0).value() + 2);
  CHECK(slice[1].host.size() == 4);
  CHECK(slice[2].host.size() == 1);
  CHECK(slice[2].address == builder.buffer(2));
}

TEST_CASE("copying into a chain marks exactly the pages it wrote") {
  ChainFixture f;
  auto builder = f.driver.chain();
  builder.descriptor(0x20000, 4096, kDescriptorWrite).descriptor(0x30000, 4096, kDescriptorWrite);
  REQUIRE(f.walk(builder.write()) == QueueError::kNone);
  f.memory.dirty().take();
  CHECK(copy_to(f.memory, f.chain.writable(), bytes(4097, 9)) == 4097);
  CHECK(f.memory.dirty().test(0x20));
  CHECK(f.memory.dirty().test(0x30));
  CHECK_FALSE(f.memory.dirty().test(0x21));
  CHECK(f.memory.load<std::uint8_t>(Gpa(0x30000)) == 9);
  CHECK(f.memory.load<std::uint8_t>(Gpa(0x30001)) == 0);
}

}  // namespace tintype
