// SPDX-License-Identifier: Apache-2.0
// The block device with its own thread, and a guest, a host and somebody who freezes at the same time.
#include <atomic>
#include <chrono>
#include <thread>

#include <doctest/doctest.h>

#include "devices/virtio/poll_window.h"
#include "devices/virtio/spec.h"
#include "tests/support/rounds.h"
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

/// As a driver does it: true where the device has asked for the bell.
bool wants_bell(MockQueue& queue, bool event_index) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!event_index) return (queue.used_flags() & kUsedNoNotify) == 0;
  const std::uint16_t now = queue.available_index();
  return passes_event(queue.available_event(), now, static_cast<std::uint16_t>(now - 1));
}

void busy_for(std::chrono::microseconds time) {
  const auto until = Clock::now() + time;
  while (Clock::now() < until) {
  }
}

}  // namespace

TEST_CASE("a thread looks for work as long as that has paid") {
  using std::chrono::microseconds;
  PollWindow window(microseconds(64));
  CHECK(window.length() == PollWindow::Duration::zero());
  window.waited(microseconds(500));
  CHECK(window.length() == PollWindow::Duration::zero());
  for (int i = 0; i < 10; ++i) window.waited(microseconds(40));
  CHECK(window.length() == microseconds(64));  // twice as long each time, until it was long enough
  window.waited(microseconds(50));
  CHECK(window.length() == microseconds(64));
  window.waited(microseconds(500));
  CHECK(window.length() == microseconds(32));
  for (int i = 0; i < 10; ++i) window.waited(microseconds(500));
  CHECK(window.length() == PollWindow::Duration::zero());
  PollWindow off(PollWindow::Duration::zero());
  for (int i = 0; i < 10; ++i) off.waited(microseconds(1));
  CHECK(off.length() == PollWindow::Duration::zero());
}

TEST_CASE("a driver that rings only when it is asked to is never left waiting") {
  for (const bool event_index : {false, true}) {
    VirtioBlkRig rig;
    rig.backend.tell_when_polled();
    REQUIRE(rig.driver.start(rig.driver.offered_features() & ~(event_index ? 0 : kFeatureEventIndex)));
    rig.transport.start();
    MockQueue& queue = rig.driver.queue();
    const auto chain = rig.read_chain(0, 512).write();
    unsigned rung = 0;
    const unsigned requests = rounds(20'000);
    for (unsigned i = 0; i < requests; ++i) {
      queue.put_available(chain);
      queue.publish();
      if (wants_bell(queue, event_index)) rig.driver.kick(), ++rung;
      if (!within_seconds(10, [&] { return queue.take_used().has_value(); })) FAIL("request ", i, " is not answered");
      // In turns so soon that it is looked for, and so late that the thread is about to sleep, or asleep.
      busy_for(std::chrono::microseconds(i * 7919 % (i / 200 % 2 == 0 ? 20 : 151)));
    }
    CHECK(rung > 0);
    CHECK(rung < requests);
  }
}

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
