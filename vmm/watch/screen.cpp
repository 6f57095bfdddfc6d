// SPDX-License-Identifier: Apache-2.0
#include "vmm/watch/screen.h"

#include <algorithm>

#include <fmt/format.h>

#include "vmm/base/printable.h"

namespace tintype {

using nlohmann::json;

namespace {

/// "812", "12.3k", "4.0M": three digits at least, to be seen at a glance.
std::string short_number(double value) {
  constexpr const char* kUnits[] = {"", "k", "M", "G", "T"};
  std::size_t unit = 0;
  for (; value >= 9999.5 && unit + 1 < std::size(kUnits); ++unit) value /= 1000;
  return fmt::format("{:.{}f}{}", value, unit == 0 ? 0 : 1, kUnits[unit]);
}

std::string checkpoint_text(const json& report) {
  const json pause = report.value("pause_us", json::object()), memory = report.value("memory", json::object());
  return fmt::format("checkpoint {} ({}): stood still for {} us, {} pages written, {} faults, {}B of memory",
                     report.value("id", 0U), report.value("strategy", ""), pause.value("total", std::uint64_t{0}),
                     memory.value("pages_written", std::uint64_t{0}), memory.value("faults", std::uint64_t{0}),
                     short_number(static_cast<double>(memory.value("bytes_written", std::uint64_t{0}))));
}

/// "2026-11-29T10:33:11Z" by its clock; what is no such time stays as it is.
std::string clock_of(const std::string& time) {
  const auto start = time.find('T');
  return start == time.npos || time.size() < start + 9 ? time : time.substr(start + 1, 8);
}

std::string disk_line(const DiskStatus& disk) {
  return fmt::format("{:<16} {:>9} reads ({}B), {} writes ({}B){}", disk.id,
                     short_number(static_cast<double>(disk.reads)), short_number(static_cast<double>(disk.bytes_read)),
                     short_number(static_cast<double>(disk.writes)),
                     short_number(static_cast<double>(disk.bytes_written)),
                     !disk.problem.empty() ? "; the host cannot reach it: " + disk.problem
                     : disk.waits_for_room ? "; waits for room for its redo log"
                                           : "");
}

/// One line, of at most so many bytes, whose last letter is whole.
std::string cut(std::string line, std::size_t width) {
  std::replace_if(
      line.begin(), line.end(), [](char letter) { return letter == '\n' || letter == '\t'; }, ' ');
  if (line.size() <= width) return line;
  while (width > 0 && (static_cast<unsigned char>(line[width]) & 0xc0) == 0x80) --width;
  line.resize(width);
  return line;
}

std::string state_text(const StatusReport& status) {
  std::string text(name_of(status.state));
  if (status.checkpoint_running) text += ", a checkpoint is being taken";
  if (status.in_debugger) text += ", in a debugger";
  if (!status.stands_still.empty()) text += ": " + status.stands_still;
  return text;
}

}  // namespace

std::string event_text(const json& event) {
  const std::string kind = event.value("event", "");
  std::string text = clock_of(event.value("time", "")) + "  ";
  if (kind == "checkpoint" && event.contains("checkpoint")) {
    text += checkpoint_text(event["checkpoint"]);
  } else {
    text += kind;
    if (const std::string reason = event.value("reason", ""); !reason.empty()) text += ": " + reason;
  }
  if (const auto missed = event.value("missed", std::uint64_t{0}); missed != 0)
    text += fmt::format(" ({} events were missed)", missed);
  return printable(text);
}

std::string rate_head() {
  return fmt::format("{:>9} {:<9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}", "SECONDS", "STATE", "EXITS/s",
                     "INTR/s", "FAULTS/s", "DIRTY/s", "READS/s", "B/s", "WRITES/s", "B/s");
}

std::string rate_line(const WatchSample& sample) {
  const WatchRates& rates = sample.rates;
  return fmt::format("{:>9.1f} {:<9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
                     static_cast<double>(sample.status.uptime_ms) / 1000, name_of(sample.status.state),
                     short_number(rates.exits), short_number(rates.interrupts), short_number(rates.page_faults),
                     rates.dirty_pages ? short_number(*rates.dirty_pages) : "-", short_number(rates.reads),
                     short_number(rates.bytes_read), short_number(rates.writes), short_number(rates.bytes_written));
}

std::vector<std::string> watch_screen(const WatchSample& sample, const std::deque<std::string>& happened,
                                      std::size_t width, std::size_t height) {
  const StatusReport& status = sample.status;
  const WatchRates& rates = sample.rates;
  std::vector<std::string> lines;
  const auto count = [&lines](const char* name, double rate, double all) {
    lines.push_back(fmt::format("{:<16} {:>9}/s {:>12} in all", name, short_number(rate), short_number(all)));
  };
  lines.push_back(fmt::format("{}  {}  ({:.0f} s, process {}; q leaves)", status.name, state_text(status),
                              static_cast<double>(status.uptime_ms) / 1000, status.pid));
  lines.emplace_back();
  count("exits", rates.exits, static_cast<double>(status.exits));
  count("interrupts", rates.interrupts, static_cast<double>(status.interrupts));
  count("page faults", rates.page_faults, static_cast<double>(status.page_faults));
  lines.push_back(
      rates.dirty_pages
          ? fmt::format("{:<16} {:>9}/s between checkpoints", "dirty pages", short_number(*rates.dirty_pages))
          : fmt::format("{:<16} {:>9}   known once two checkpoints were taken", "dirty pages", "-"));
  lines.push_back(
      fmt::format("{:<16} {:>9}/s {:>11}B/s", "disk reads", short_number(rates.reads), short_number(rates.bytes_read)));
  lines.push_back(fmt::format("{:<16} {:>9}/s {:>11}B/s", "disk writes", short_number(rates.writes),
                              short_number(rates.bytes_written)));
  for (const DiskStatus& disk : status.disks) lines.push_back(disk_line(disk));
  if (status.load)
    lines.push_back(fmt::format("{:<16} {:>9}B still to be read", "memory",
                                short_number(static_cast<double>(status.load->bytes_left))));
  lines.emplace_back();
  const std::size_t room = height > lines.size() ? height - lines.size() : 0;
  const std::size_t first = happened.size() - std::min(happened.size(), room);
  lines.insert(lines.end(), happened.begin() + static_cast<std::ptrdiff_t>(first), happened.end());
  if (lines.size() > height) lines.resize(height);
  for (std::string& line : lines) line = cut(printable(line), width);
  return lines;
}

}  // namespace tintype
