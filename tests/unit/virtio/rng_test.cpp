// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/rng.h"

#include <doctest/doctest.h>

#include "devices/virtio/mmio_transport.h"
#include "tests/support/fake_irq_line.h"
#include "tests/support/mock_driver.h"

namespace tintype {
namespace {

struct RngFixture {
  GuestMemory memory{1 << 20};
  FakeIrqLine irq;
  VirtioRng rng;
  MmioTransport transport{"rng0", memory, irq, rng};
  MockDriver driver{transport, memory};

  std::vector<std::byte> ask(std::uint32_t length, std::uint32_t& given) {
    auto chain = driver.queue().chain();
    chain.writable(length).offer();
    driver.kick();
    transport.serve_everything();
    const auto used = driver.queue().take_used();
    REQUIRE(used.has_value());
    given = used->length;
    const auto view = memory.view(chain.buffer(0), length);
    return {view.begin(), view.end()};
  }
};

}  // namespace

TEST_CASE("entropy fills what was asked for, and is not the same twice") {
  RngFixture f;
  REQUIRE(f.driver.start());
  std::uint32_t given = 0;
  const auto first = f.ask(64, given);
  CHECK(given == 64);
  CHECK(first != f.ask(64, given));
  CHECK(first != std::vector<std::byte>(64));
}

TEST_CASE("a greedy request for entropy is given a bounded part") {
  RngFixture f;
  REQUIRE(f.driver.start());
  std::uint32_t given = 0;
  const auto bytes = f.ask(100000, given);
  CHECK(given == 256);
  CHECK(std::all_of(bytes.begin() + 256, bytes.end(), [](std::byte byte) { return byte == std::byte{0}; }));
}

TEST_CASE("a readable buffer has no business in the entropy queue") {
  RngFixture f;
  REQUIRE(f.driver.start());
  f.driver.queue().chain().readable_value(std::uint64_t{1}).writable(8).offer();
  f.driver.kick();
  f.transport.serve_everything();
  CHECK(f.driver.needs_reset());
}

}  // namespace tintype
