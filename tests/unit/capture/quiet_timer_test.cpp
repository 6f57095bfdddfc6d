// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/quiet_timer.h"

#include <atomic>

#include <doctest/doctest.h>

#include "tests/support/becomes_true.h"

namespace tintype {

using namespace std::chrono_literals;

TEST_CASE("a quiet timer does what it is for once it has been quiet, each time it was started") {
  std::atomic<int> done = 0;
  QuietTimer timer(1ms, [&] { ++done; });
  for (int round = 1; round <= 3; ++round) {
    timer.start();
    CHECK(becomes_true([&] { return done == round; }));
  }
}

TEST_CASE("a quiet timer that is stopped, or goes, does nothing more") {
  std::atomic<int> done = 0;
  {
    QuietTimer timer(20ms, [&] { ++done; });
    timer.stop();
    timer.start();
    timer.stop();
    const int before = done;  // where this thread was held up, it may have been time
    std::this_thread::sleep_for(60ms);
    CHECK(done == before);
  }
  {
    QuietTimer timer(1h, [&] { done = 100; });
    timer.start();
  }
  CHECK(done < 100);
}

TEST_CASE("nothing is being done when stop() has returned") {
  std::atomic<bool> under_way = false;
  QuietTimer timer(0ms, [&] {
    under_way = true;
    std::this_thread::sleep_for(1ms);
    under_way = false;
  });
  for (int i = 0; i < 50; ++i) {
    timer.start();
    if (i % 2 == 0) std::this_thread::sleep_for(100us);
    timer.stop();
    CHECK_FALSE(under_way);
  }
}

}  // namespace tintype
