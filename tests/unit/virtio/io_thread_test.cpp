// SPDX-License-Identifier: Apache-2.0
// The block device with its own thread, and a guest, a host and somebody who freezes at the same time.
#include <atomic>
#include <chrono>
#include <thread>

#include <doctest/doctest.h>

#include "devices/virtio/spec.h"
#include "tests/support/virtio_blk_rig.h"
#include "vmm/base/thread.h"

namespace tintype {
namespace {

using namespace virtio;
using Clock = std::chrono::steady_clock;

template <typename Condition>
bool within_seconds(int seconds, Condition condition) {
  const auto limit = Clock::now() + std::chrono::seconds(seconds);
  while (!condition()) {
    if (Clock::now() > limit) return false;
    std::this_thread::yield();
  }
  return true;
}

/// One read after the other, as fast as the thread answers them.
void keep_busy(VirtioBlkRig& rig, std::atomic<bool>& stop, std::atomic<unsigned>& answered) {
  MockQueue& queue = rig.driver.queue();
  const auto chain = rig.read_chain(0, 512).write();
  while (!stop) {
    queue.put_available(chain);
    queue.publish();
    rig.driver.kick();
    if (!within_seconds(10, [&] { return queue.take_used().has_value() || stop; })) return;
    ++answered;
  }
}

}  // namespace

TEST_CASE("a kick wakes the device's thread, and the interrupt follows") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  rig.transport.start();
  auto chain = rig.read_chain(0, 512);
  chain.offer();
  rig.driver.kick();
  CHECK(within_seconds(10, [&] { return rig.irq.pulses() == 1; }));
  CHECK(rig.byte_at(chain.buffer(2)) == kBlkOk);
}

TEST_CASE("freezing a busy device takes effect at once and between requests, a thousand times") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  rig.transport.start();
  std::atomic<bool> stop = false;
  std::atomic<unsigned> answered = 0;
  std::thread guest([&] { keep_busy(rig, stop, answered); });
  REQUIRE(within_seconds(10, [&] { return answered > 10; }));
  auto longest = Clock::duration::zero();
  for (int i = 0; i < 1000; ++i) {
    const auto before = Clock::now();
    rig.transport.freeze();
    longest = std::max(longest, Clock::now() - before);
    const StateRecord first = rig.transport.save_state();
    const std::uint16_t used = rig.driver.queue().used_index();
    std::this_thread::sleep_for(std::chrono::microseconds(i % 3 * 50));
    if (!(rig.transport.save_state() == first) || rig.driver.queue().used_index() != used)
      FAIL("it moved while frozen");
    rig.transport.thaw();
  }
  const unsigned so_far = answered;
  CHECK(within_seconds(10, [&] { return answered > so_far + 10; }));
  stop = true;
  guest.join();
  MESSAGE("longest freeze: ", std::chrono::duration_cast<std::chrono::nanoseconds>(longest).count(), " ns");
}

TEST_CASE("a vCPU that resets its disk waits a moment for the host, not for ever") {
  VirtioBlkRig rig;
  rig.backend.hold();
  REQUIRE(rig.driver.start());
  rig.read_chain(0, 512).offer();
  rig.kick();
  REQUIRE(rig.backend.pending() == 1);
  rig.transport.start();
  SUBCASE("the host is quick") {
    rig.backend.finish(0);
    rig.driver.write(kStatus, 0);
    CHECK(rig.driver.status() == 0);
  }
  SUBCASE("the host takes long") {
    const auto before = Clock::now();
    rig.driver.write(kStatus, 0);
    CHECK(Clock::now() - before < std::chrono::seconds(5));
    CHECK(rig.driver.status() != 0);
    rig.backend.finish(0);
    CHECK(within_seconds(10, [&] { return rig.driver.status() == 0; }));
  }
}

TEST_CASE("a vCPU that is called back to be parked does not wait for the host at all, and the reset goes on") {
  auto shortest = Clock::duration::max();
  for (int i = 0; i < 5; ++i) {  // the shortest of five: the host may be busy
    VirtioBlkRig rig;
    rig.backend.hold();
    REQUIRE(rig.driver.start());
    rig.read_chain(0, 512).offer();
    rig.kick();
    rig.transport.start();
    call_back_this_thread(true);
    const auto before = Clock::now();
    rig.driver.write(kStatus, 0);
    shortest = std::min(shortest, Clock::now() - before);
    call_back_this_thread(false);
    CHECK(rig.driver.status() != 0);
    rig.backend.finish(0);
    rig.driver.write(kStatus, kStatusAcknowledge);  // a driver that does not poll: this waits
    CHECK(rig.driver.status() == kStatusAcknowledge);
  }
  CHECK(shortest < std::chrono::milliseconds(50));
}

TEST_CASE("a thread that is stopped and started again goes on where it was") {
  VirtioBlkRig rig;
  REQUIRE(rig.driver.start());
  for (int i = 0; i < 20; ++i) {
    rig.transport.start();
    rig.flush_chain().offer();
    rig.driver.kick();
    if (i % 2 == 0) CHECK(within_seconds(10, [&] { return rig.driver.queue().used_index() == i + 1; }));
    rig.transport.stop();
  }
  rig.transport.start();
  CHECK(within_seconds(10, [&] { return rig.driver.queue().used_index() == 20; }));
}

}  // namespace tintype
