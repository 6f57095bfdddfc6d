// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "vmm/cli/progress_bar.h"
#include "vmm/cli/report_text.h"
#include "vmm/cli/result_text.h"

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
  CHECK(stored_report_text(report).ends_with("91 ms before it was sealed: prepare 60, pause 1, copy 30"));
  CHECK(report_text(report).find("1.234 ms") != std::string::npos);
  CHECK(report_text(report).find("faults") == std::string::npos);
  CHECK(report_text(report).find("parent") == std::string::npos);
  report.memory.faults = 9;
  report.parent = 2;
  CHECK(report_text(report).find("faults      9") != std::string::npos);
  CHECK(report_text(report).find("parent 2") != std::string::npos);
  CHECK(report_text(report).find("disk0       4 KiB") != std::string::npos);
}

TEST_CASE("how long a machine stood still for a mark or a reset is told in units that can be read") {
  const auto reset = [](std::uint64_t us) { return result_text("reset", {{"name", "a"}, {"pause_us", us}}); };
  CHECK(reset(640).ends_with("in 0.640 ms."));
  CHECK(reset(1'333'398).ends_with("in 1.3 s."));
  CHECK(result_text("mark", {{"name", "a"}, {"pause_us", 12'345}}) == "a is marked (it stood still for 12.345 ms).");
}

TEST_CASE("the status of a standby says for whom it is, and what it has, and nothing of a machine") {
  nlohmann::json status = {{"name", "second"}, {"pid", 7}, {"state", "standby"}};
  status["standby"] = {{"vm", ""},           {"latest", 0},    {"ready", 0},   {"received", 0},
                       {"connected", false}, {"silent_ms", 0}, {"problem", ""}};
  CHECK(result_text("status", status).find("nobody has called yet") != std::string::npos);
  status["standby"].update({{"vm", "first"}, {"latest", 9}, {"ready", 9}, {"connected", true}, {"silent_ms", 120}});
  const std::string text = result_text("status", status);
  CHECK(text.find("standby for first") != std::string::npos);
  CHECK(text.find("9 is ready to run") != std::string::npos);
  CHECK(text.find("connected, last heard of 0.1 s ago") != std::string::npos);
  CHECK(text.find("memory") == std::string::npos);
  status["standby"].update({{"ready", 8}, {"connected", false}, {"problem", "no room"}});
  CHECK(result_text("status", status).find("9 has come, 8 is ready to run") != std::string::npos);
  CHECK(result_text("status", status).find("not connected") != std::string::npos);
  CHECK(result_text("status", status).find("no room") != std::string::npos);
}
