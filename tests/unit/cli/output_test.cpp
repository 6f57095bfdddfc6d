// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "vmm/cli/progress_bar.h"
#include "vmm/cli/report_text.h"

using namespace tintype;
using namespace std::chrono_literals;

TEST_CASE("the progress bar fills its line exactly, whatever it is told") {
  for (const Progress& progress :
       {Progress{"memory", 0, 100}, Progress{"memory", 50, 100}, Progress{"memory", 100, 100}, Progress{"", 0, 0},
        Progress{"disk0", 200, 100}, Progress{std::string(200, 'x'), ~0ULL, 1}}) {
    for (const std::size_t width : {0u, 1u, 20u, 79u, 200u}) CHECK(progress_text(progress, 1s, width).size() == width);
  }
}

TEST_CASE("the progress bar says how far the work is") {
  const std::string text = progress_text({"memory", 256 << 20, 512 << 20}, 100ms, 79);
  CHECK(text.find("50%  256 MiB of 512 MiB") != std::string::npos);
  CHECK(text.find("#-") != std::string::npos);
  CHECK(progress_text({"memory", 1, 1}, 1s, 79).find('-') == std::string::npos);
}

TEST_CASE("after a moment the progress bar knows the rate, and how long it will take") {
  const auto line = [](std::uint64_t done, std::chrono::milliseconds elapsed) {
    return progress_text({"memory", done, 512 << 20}, elapsed, 100);
  };
  CHECK(line(128 << 20, 500ms).find("128 MiB of 512 MiB, 256 MiB/s, 2 s left") != std::string::npos);
  CHECK(line((128 << 20) + 4096, 500ms).find(", 256 MiB/s") != std::string::npos);
  CHECK(line(512 << 20, 2s).find(", 256 MiB/s, 0 s left") != std::string::npos);
  CHECK(line(128 << 20, 10ms).find("/s") == std::string::npos);
  CHECK(line(0, 10s).find("/s") == std::string::npos);
}

TEST_CASE("a report for people has the pause and its parts, and faults only where there were some") {
  CheckpointReport report;
  report.id = 3;
  report.vm = "a";
  report.repository = "/r";
  report.pause_us.total = 1234;
  report.disks = {{"disk0", 4096}};
  report.total_ms = 100, report.prepare_ms = 60, report.copy_ms = 30, report.seal_ms = 9;
  CHECK(report_text(report).find("100 ms: prepare 60, pause 1, copy 30, seal 9") != std::string::npos);
  CHECK(report_text(report).find("1.234 ms") != std::string::npos);
  CHECK(report_text(report).find("faults") == std::string::npos);
  CHECK(report_text(report).find("parent") == std::string::npos);
  report.memory.faults = 9;
  report.parent = 2;
  CHECK(report_text(report).find("faults      9") != std::string::npos);
  CHECK(report_text(report).find("parent 2") != std::string::npos);
  CHECK(report_text(report).find("disk0       4 KiB") != std::string::npos);
}
