// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "vmm/machine/pause.h"

namespace tintype {

TEST_CASE("no thread passes a closed gate, however often it is closed and opened") {
  constexpr std::size_t kThreads = 4;
  PauseGate gate(kThreads);
  std::atomic<std::uint64_t> steps = 0;
  std::atomic<bool> end = false;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      while (!end) {
        while (gate.closed() && !end) gate.park();
        ++steps;
      }
      gate.leave_for_good();
    });
  }
  for (int round = 0; round < 300; ++round) {
    gate.close();
    gate.wait_until_parked();
    const std::uint64_t before = steps;
    std::this_thread::yield();
    CHECK(steps == before);
    gate.open();
  }
  end = true;
  gate.let_go();
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("a thread that has left does not keep the others' pause from being complete") {
  PauseGate gate(2);
  std::thread gone([&] { gate.leave_for_good(); });
  std::atomic<bool> went_on = false;
  std::thread parked([&] {
    while (!gate.closed()) std::this_thread::yield();
    gate.park();
    went_on = true;
  });
  gate.close();
  gate.wait_until_parked();
  CHECK_FALSE(went_on);
  gate.open();
  gone.join();
  parked.join();
  CHECK(went_on);
}

TEST_CASE("a gate that let its threads go is not closed again") {
  PauseGate gate(1);
  gate.let_go();
  gate.close();
  CHECK_FALSE(gate.closed());
  std::thread late([&] {  // it has seen neither the end of the machine nor that the gate was opened
    gate.park();
    gate.leave_for_good();
  });
  gate.wait_until_parked();
  late.join();
}

TEST_CASE("while the machine stalls nobody waits for a thread that cannot park, and the others park") {
  PauseGate gate(2);
  std::atomic<bool> comes = false, went_on = false;
  std::thread other([&] {
    while (!gate.closed()) std::this_thread::yield();
    comes = true;
    gate.park();
    went_on = true;
  });
  std::thread pauses([&] {
    gate.close();
    gate.wait_until_parked();  // the second thread never comes
  });
  gate.stall(true);
  pauses.join();
  gate.wait_until_parked();
  while (!comes) std::this_thread::yield();
  CHECK(gate.closed());
  CHECK_FALSE(went_on);
  gate.stall(false);
  gate.open();
  other.join();
  CHECK(went_on);
}

}  // namespace tintype
