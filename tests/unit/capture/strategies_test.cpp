// SPDX-License-Identifier: Apache-2.0
// Every strategy, without a guest: threads of this process write to memory while it is captured.
#include <cstring>

#include <doctest/doctest.h>

#include "checkpoint/capture/engine.h"
#include "checkpoint/tracking/written_pages.h"
#include "tests/support/skip.h"
#include "tests/unit/capture/capture_rig.h"

namespace tintype {

namespace {

/// One way to take pictures.
struct Way {
  Strategy strategy = Strategy::kStop;
  Tracking tracking = Tracking::kNothing;
};

/// Which strategies can work so; a host that can do more can also do it the lesser way.
std::vector<Strategy> strategies_with(Tracking tracking) {
  std::vector<Strategy> possible;
  for (const StrategyRow& row : strategies()) {
#ifdef TINTYPE_THREAD_SANITIZER  // which takes its time: those that do not merely wait
    if (row.strategy == Strategy::kStop || row.strategy == Strategy::kPrecopy) continue;
#endif
    if (row.need == Need::kHold && tracking != Tracking::kProtection) continue;
    if (row.need == Need::kKnow && tracking == Tracking::kNothing) continue;
    possible.push_back(row.strategy);
  }
  return possible;
}

/// All that this host can do; without the knowledge of what was written only where that is asked for.
std::vector<Way> possible_ways(bool also_blindly = false) {
  std::vector<Tracking> trackings;
  if (also_blindly) trackings.push_back(Tracking::kNothing);
  if (WrittenPages::problem().empty()) trackings.push_back(Tracking::kScan);
  if (no_write_protection().empty()) trackings.push_back(Tracking::kProtection);
  std::vector<Way> ways;
  for (const Tracking tracking : trackings) {
    for (const Strategy strategy : strategies_with(tracking)) ways.push_back({strategy, tracking});
  }
  return ways;
}

std::string name_of(const Way& way) {
  return std::string(name_of(way.strategy)) + ", tracking " + std::to_string(static_cast<int>(way.tracking));
}

/// Takes pictures of memory that threads write to, as a machine would: they stand still from pause to resume.
class Photographer {
 public:
  Photographer(const Way& way, std::uint64_t bytes, unsigned threads)
      : memory(bytes),
        engine(memory, std::make_unique<Userfault>, way.tracking),
        capture(make_capture(way.strategy, engine)),
        threads_(threads),
        picture(bytes) {}

  /// What is put goes on top of the last picture, as a chain of checkpoints does; what comes out must be memory as it
  /// was in the pause.
  void take(bool everything, bool keeps) {
    KeptPages pages(memory);
    pages.contents = everything ? std::vector<std::byte>(memory.size()) : picture;
    capture->prepare({kMemory / 4, everything}, {});
    scribblers_.emplace(memory, threads_);
    capture->precopy(pages);
    scribblers_->stop();
    const std::vector<std::byte> instant = copy_of(memory);  // (reading absent pages maps the zero page)
    capture->protect();
    if (capture->copies_while_paused()) capture->copy_out(pages);
    scribblers_.emplace(memory, threads_);
    if (!capture->copies_while_paused()) capture->copy_out(pages);
    pages.finish();
    keeps ? capture->keep() : capture->give_back();
    scribblers_->stop();
    CHECK(pages.contents == instant);
    put_bytes = pages.put_bytes;
    if (keeps) picture = instant;
  }

  GuestMemory memory;
  CaptureEngine engine;
  std::unique_ptr<MemoryCapture> capture;
  std::uint64_t put_bytes = 0;

 private:
  unsigned threads_;
  std::optional<Scribblers> scribblers_;

 public:
  std::vector<std::byte> picture;
};

}  // namespace

TEST_CASE("this host knows what was written in every way that the cases below try") {
  if (const std::string problem = WrittenPages::problem(); !problem.empty()) SKIP_TEST(problem);
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  const std::vector<Way> ways = possible_ways();
  for (const Tracking tracking : {Tracking::kScan, Tracking::kProtection})
    CHECK(std::ranges::count(ways, tracking, &Way::tracking) > 0);
}

TEST_CASE("memory written to by several threads is captured as it was at the instant, by every strategy") {
  for (const Way& way : possible_ways(true)) {
    CAPTURE(name_of(way));
    Photographer photographer(way, kMemory, 3);
    fill(photographer.memory, 0, kMemory / 2, 1);  // the upper half is absent
    photographer.take(true, true);
  }
}

TEST_CASE("a chain of captures, each of what was written since the last one that was kept, loses nothing") {
  for (const Way& way : possible_ways()) {
    CAPTURE(name_of(way));
    Photographer photographer(way, 16 << 20, 2);
    fill(photographer.memory, 0, 8 << 20, 1);
    bool first = true;
    for (const bool keeps : {true, true, false, true, false, false, true}) {
      photographer.take(first || !photographer.engine.knows_what_was_written(), keeps);
      first = false;
    }
  }
}

TEST_CASE("what was not written, or came out equal, is not put again") {
  if (const std::string problem = probe_tracking().cannot_know; !problem.empty()) SKIP_TEST(problem);
  for (const Way& way : possible_ways()) {
    CAPTURE(name_of(way));
    Photographer photographer(way, 16 << 20, 0);
    fill(photographer.memory, 0, 16 << 20, 1);
    photographer.take(true, true);
    CHECK(photographer.put_bytes == 16 << 20);
    photographer.take(false, true);
    CHECK(photographer.put_bytes == 0);
    REQUIRE(photographer.memory.store<std::uint64_t>(Gpa(5 << 20), 42));
    const auto old = photographer.memory.load<std::uint64_t>(Gpa(9 << 20));
    REQUIRE(photographer.memory.store<std::uint64_t>(Gpa(9 << 20), *old));
    photographer.take(false, true);
    CHECK(photographer.put_bytes == kPageSize);
    photographer.take(true, true);
    CHECK(photographer.put_bytes == 16 << 20);
  }
}

TEST_CASE("a page that becomes zero, and one that comes into being, are put") {
  if (const std::string problem = probe_tracking().cannot_know; !problem.empty()) SKIP_TEST(problem);
  for (const Way& way : possible_ways()) {
    CAPTURE(name_of(way));
    Photographer photographer(way, 16 << 20, 0);
    fill(photographer.memory, 0, 4 << 20, 1);
    photographer.take(true, true);
    REQUIRE(photographer.memory.write(Gpa(kPageSize), std::vector<std::byte>(kPageSize)));
    fill(photographer.memory, 12 << 20, kPageSize, 2);
    photographer.take(false, true);
    CHECK(photographer.put_bytes >= 2 * kPageSize);
    CHECK(photographer.picture == copy_of(photographer.memory));
  }
}

TEST_CASE("a capture that is given up, at whatever point, lets every writer go and loses nothing") {
  for (const Way& way : possible_ways()) {
    for (int steps = 0; steps < 3; ++steps) {
      CAPTURE(name_of(way));
      CAPTURE(steps);
      Photographer photographer(way, 16 << 20, 2);
      fill(photographer.memory, 0, 16 << 20, 1);
      photographer.take(true, true);
      {
        KeptPages pages(photographer.memory);
        photographer.capture->prepare({2 << 20, false}, {});
        Scribblers scribblers(photographer.memory, 3);
        if (steps > 0) photographer.capture->precopy(pages);
        if (steps > 1) photographer.capture->protect();
        std::this_thread::sleep_for(std::chrono::milliseconds(20));  // with a strategy that preserves, all wait by now
        photographer.capture->give_back();
        const std::uint64_t before = scribblers.writes();
        while (scribblers.writes() == before) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      photographer.take(!photographer.engine.knows_what_was_written(), true);
    }
  }
}

TEST_CASE("the capture area bounds what is preserved, and the guest waits rather than tear") {
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  GuestMemory memory(kMemory);
  fill(memory, 0, kMemory, 1);
  CaptureEngine engine(memory);
  const auto capture = make_capture(Strategy::kCow, engine);
  capture->prepare({8 << 20, true}, {});
  const std::vector<std::byte> instant = copy_of(memory);
  capture->protect();
  Scribblers scribblers(memory, 3);
  KeptPages pages(memory);
  pages.while_writing = [] { std::this_thread::sleep_for(std::chrono::milliseconds(1)); };
  capture->copy_out(pages);
  pages.finish();
  capture->keep();
  CHECK(pages.contents == instant);
  CHECK(capture->report().faults > 0);
  CHECK(capture->report().capture_area_peak_bytes <= 8 << 20);
}

TEST_CASE("what was copied ahead and then written to is dropped, and put again") {
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  GuestMemory memory(32 << 20);  // more than is left for the pause without a round
  fill(memory, 0, memory.size(), 1);
  CaptureEngine engine(memory);
  const auto capture = make_capture(Strategy::kHybrid, engine);
  capture->prepare({0, true}, {});
  KeptPages pages(memory);
  capture->precopy(pages);
  CHECK(pages.contents == copy_of(memory));
  REQUIRE(memory.store<std::uint64_t>(Gpa(5 << 20), 42));
  const std::vector<std::byte> instant = copy_of(memory);
  capture->protect();
  REQUIRE(memory.store<std::uint64_t>(Gpa(5 << 20), 43));
  capture->copy_out(pages);
  CHECK(pages.contents == instant);
  CHECK(pages.drops == 1);
  CHECK(capture->report().rounds >= 1);
}

}  // namespace tintype
