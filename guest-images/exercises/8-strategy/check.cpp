// SPDX-License-Identifier: Apache-2.0
// Takes pictures with the strategy of the exercise, while threads write to memory.
#include <optional>

#include <doctest/doctest.h>

#include "checkpoint/capture/engine.h"
#include "guest-images/exercises/8-strategy/strategy.h"
#include "tests/unit/capture/capture_rig.h"

namespace tintype {

namespace {

struct Photographer {
  GuestMemory memory{16 << 20};
  CaptureEngine engine{memory};
  std::unique_ptr<MemoryCapture> capture = make_spare(memory, engine);
  std::vector<std::byte> last = std::vector<std::byte>(memory.size());

  void take(bool everything, bool keeps) {
    KeptPages pages(memory);
    if (!everything) pages.contents = last;
    std::optional<Scribblers> guest(std::in_place, memory, 3);
    capture->prepare({0, everything}, {});
    capture->precopy(pages);
    guest->stop();
    const std::vector<std::byte> instant = copy_of(memory);
    capture->protect();
    if (capture->copies_while_paused()) FAIL("it keeps the machine paused while it writes");
    guest.emplace(memory, 3);
    while (guest->writes() < 10'000) std::this_thread::yield();
    capture->copy_out(pages);
    pages.finish();
    keeps ? capture->keep() : capture->give_back();
    guest->stop();
    if (pages.contents != instant) FAIL("the picture is not what memory was in the pause");
    if (keeps) last = instant;
  }
};

}  // namespace

TEST_CASE("a picture of one instant") {
  Photographer photographer;
  fill(photographer.memory, 0, 8 << 20, 1);
  photographer.take(true, true);
}

TEST_CASE("one picture after the other, of which some are not kept") {
  Photographer photographer;
  fill(photographer.memory, 0, 8 << 20, 1);
  bool first = true;
  for (const bool keeps : {true, false, true, true}) {
    photographer.take(first || !photographer.engine.knows_what_was_written(), keeps);
    first = false;
  }
}

}  // namespace tintype
