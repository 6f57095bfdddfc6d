// SPDX-License-Identifier: Apache-2.0
// Copy on write without a guest: threads of this process write to memory while it is captured.
#include "checkpoint/capture/cow.h"

#include <cstring>

#include <doctest/doctest.h>

#include "checkpoint/capture/stop.h"
#include "tests/unit/capture/capture_rig.h"

namespace tintype {

TEST_CASE("memory written to by several threads during the copy is captured as it was at the instant") {
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  for (const std::uint64_t area : {2ULL << 20, 8ULL << 20, 64ULL << 20}) {
    GuestMemory memory(kMemory);
    fill(memory, 0, kMemory / 2, 1);  // the upper half is absent
    CowCapture capture(memory);
    capture.prepare(area, {});
    const std::vector<std::byte> instant =
        copy_of(memory);  // (reading absent pages maps the zero page, which must not matter)
    capture.protect();
    MemoryReport report;
    KeptPages pages(memory);
    {
      Scribblers scribblers(memory, 3);
      capture.copy_out(pages);
      capture.release();
      report = capture.report();
      const std::uint64_t before = scribblers.writes();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      CHECK(scribblers.writes() > before);  // nobody was left waiting
    }
    CHECK(pages.contents == instant);
    CHECK(report.faults > 0);
    CHECK(pages.pages_done == memory.pages());
    CHECK(report.capture_area_peak_bytes <= area);
  }
}

TEST_CASE("a capture that is given up lets every writer go") {
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  GuestMemory memory(kMemory);
  fill(memory, 0, kMemory, 1);
  CowCapture capture(memory);
  capture.prepare(2 << 20, {});
  capture.protect();
  Scribblers scribblers(memory, 3);  // soon all wait: the area is full and nobody empties it
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  capture.release();
  const std::uint64_t before = scribblers.writes();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(scribblers.writes() > before);
}

TEST_CASE("one capture after the other, on the same memory") {
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  GuestMemory memory(16 << 20);
  fill(memory, 0, memory.size(), 3);
  CowCapture capture(memory);
  for (int round = 0; round < 5; ++round) {
    capture.prepare(4 << 20, {});
    const auto instant = copy_of(memory);
    capture.protect();
    Scribblers scribblers(memory, 2);
    KeptPages pages(memory);
    capture.copy_out(pages);
    capture.release();
    scribblers.stop();
    CHECK(pages.contents == instant);
  }
}

TEST_CASE("the stop strategy writes what is there") {
  GuestMemory memory(16 << 20);
  fill(memory, 5 << 20, 3 << 20, 4);
  StopCapture capture(memory);
  capture.prepare(0, {});
  capture.protect();
  KeptPages pages(memory);
  capture.copy_out(pages);
  CHECK(pages.contents == copy_of(memory));
  CHECK(pages.pages_done == memory.pages());
}

}  // namespace tintype
