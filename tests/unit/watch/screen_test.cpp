// SPDX-License-Identifier: Apache-2.0
#include "vmm/watch/screen.h"

#include <algorithm>

#include <doctest/doctest.h>

using namespace tintype;
using nlohmann::json;

namespace {

WatchSample busy_machine() {
  WatchSample sample;
  sample.status.name = "work";
  sample.status.state = RunState::kRunning;
  sample.status.exits = 123456;
  sample.status.disks.resize(1);
  sample.status.disks[0].id = "disk0";
  sample.rates.exits = 1500;
  return sample;
}

}  // namespace

TEST_CASE("the screen keeps to its size, and shows the newest of what happened") {
  std::deque<std::string> happened;
  for (int i = 0; i < 100; ++i) happened.push_back("event " + std::to_string(i) + std::string(200, 'x'));
  for (const std::size_t height : {1U, 5U, 24U, 200U}) {
    const auto lines = watch_screen(busy_machine(), happened, 40, height);
    CHECK(lines.size() <= height);
    CHECK(std::all_of(lines.begin(), lines.end(), [](const std::string& line) { return line.size() <= 40; }));
  }
  const auto lines = watch_screen(busy_machine(), happened, 80, 24);
  CHECK(lines.front().starts_with("work  running"));
  CHECK(lines.back().starts_with("event 99"));
  CHECK(std::any_of(lines.begin(), lines.end(),
                    [](const std::string& line) { return line.find("123.5k in all") != line.npos; }));
}

TEST_CASE("what KVM does not count is not shown as if there were none") {
  WatchSample sample = busy_machine();
  CHECK(watch_screen(sample, {}, 80, 24)[3].starts_with("interrupts               -   not counted"));
  CHECK(rate_line(sample).find(" 1500        -        -        - ") != std::string::npos);
  sample.status.interrupts = 12345;
  sample.rates.interrupts = 7;
  CHECK(watch_screen(sample, {}, 80, 24)[3] == "interrupts               7/s        12.3k in all");
}

TEST_CASE("what a machine says cannot move the cursor or break a line") {
  WatchSample sample = busy_machine();
  sample.status.stands_still = "no\x1b[2J\nreason";
  for (const std::string& line : watch_screen(sample, {"a\nb\x1b"}, 80, 24)) {
    CHECK(line.find('\x1b') == line.npos);
    CHECK(line.find('\n') == line.npos);
  }
  CHECK(event_text({{"event", "paused"}, {"reason", "\x1b]0;x"}}).find('\x1b') == std::string::npos);
}

TEST_CASE("a letter of several bytes is shown whole or not at all") {
  WatchSample sample = busy_machine();
  sample.status.name = "a\xc3\xa4z";
  CHECK(watch_screen(sample, {}, 2, 24).front() == "a");
  CHECK(watch_screen(sample, {}, 3, 24).front() == "a\xc3\xa4");
}

TEST_CASE("a checkpoint is told by what it cost, and an event of any shape does no harm") {
  const json checkpoint = {{"id", 3},
                           {"strategy", "cow"},
                           {"pause_us", {{"total", 812}}},
                           {"memory", {{"pages_written", 1024}, {"faults", 31}, {"bytes_written", 4096}}}};
  CHECK(event_text({{"event", "checkpoint"}, {"time", "2026-11-29T10:33:11Z"}, {"checkpoint", checkpoint}}) ==
        "10:33:11  checkpoint 3 (cow): stood still for 0.812 ms, 1024 pages written, 31 faults, 4 KiB of memory");
  CHECK(event_text({{"event", "ended"}, {"time", "soon"}, {"reason", "power-off"}, {"missed", 2}}) ==
        "soon  ended: power-off (2 events were missed)");
  CHECK_FALSE(event_text(json::object()).empty());
}
