// SPDX-License-Identifier: Apache-2.0
#include "vmm/watch/screen.h"

#include <algorithm>

#include <fmt/format.h>

#include "vmm/base/amounts.h"
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

std::string size_of(double bytes) { return format_size(static_cast<std::uint64_t>(bytes)); }

std::string known_number(std::optional<double> value) { return value ? short_number(*value) : "-"; }

std::string count_line(const char* name, double rate, std::uint64_t all) {
  return fmt::format("{:<16} {:>9}/s {:>12} in all", name, short_number(rate), short_number(static_cast<double>(all)));
}

std::string count_line(const char* name, std::optional<double> rate, std::optional<std::uint64_t> all) {
  if (rate && all) return count_line(name, *rate, *all);
  return fmt::format("{:<16} {:>9}   not counted by this computer's KVM", name, "-");
}

std::string checkpoint_text(const json& report) {
  const json pause = report.value("pause_us", json::object()), memory = report.value("memory", json::object());
  return fmt::format("checkpoint {} ({}): stood still for {}, {} written, {}, {} of memory", report.value("id", 0U),
                     report.value("strategy", ""), format_microseconds(pause.value("total", std::uint64_t{0})),
                     counted(memory.value("pages_written", std::uint64_t{0}), "page"),
                     counted(memory.value("faults", std::uint64_t{0}), "fault"),
                     format_size(memory.value("bytes_written", std::uint64_t{0})));
}

/// "2026-11-29T10:33:11Z" by its clock; what is no such time stays as it is.
std::string clock_of(const std::string& time) {
  const auto start = time.find('T');
  return start == time.npos || time.size() < start + 9 ? time : time.substr(start + 1, 8);
}

std::string disk_line(const DiskStatus& disk) {
  return fmt::format("{:<16} {:>9} reads ({}), {} writes ({}){}", disk.id,
                     short_number(static_cast<double>(disk.reads)), format_size(disk.bytes_read),
                     short_number(static_cast<double>(disk.writes)), format_size(disk.bytes_written),
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
  return fmt::format("{:>9} {:<9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>10} {:>8} {:>10}", "SECONDS", "STATE", "EXITS/s",
                     "INTR/s", "FAULTS/s", "DIRTY/s", "READS/s", "BYTES/s", "WRITES/s", "BYTES/s");
}

std::string rate_line(const WatchSample& sample) {
  const WatchRates& rates = sample.rates;
  return fmt::format("{:>9.1f} {:<9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>10} {:>8} {:>10}",
                     static_cast<double>(sample.status.uptime_ms) / 1000, name_of(sample.status.state),
                     short_number(rates.exits), known_number(rates.interrupts), known_number(rates.page_faults),
                     known_number(rates.dirty_pages), short_number(rates.reads), size_of(rates.bytes_read),
                     short_number(rates.writes), size_of(rates.bytes_written));
}

std::vector<std::string> watch_screen(const WatchSample& sample, const std::deque<std::string>& happened,
                                      std::size_t width, std::size_t height) {
  const StatusReport& status = sample.status;
  const WatchRates& rates = sample.rates;
  std::vector<std::string> lines;
  lines.push_back(fmt::format("{}  {}  ({:.0f} s, process {}; q leaves)", status.name, state_text(status),
                              static_cast<double>(status.uptime_ms) / 1000, status.pid));
  lines.emplace_back();
  lines.push_back(count_line("exits", rates.exits, status.exits));
  lines.push_back(count_line("interrupts", rates.interrupts, status.interrupts));
  lines.push_back(count_line("page faults", rates.page_faults, status.page_faults));
  lines.push_back(
      rates.dirty_pages
          ? fmt::format("{:<16} {:>9}/s between checkpoints", "dirty pages", short_number(*rates.dirty_pages))
          : fmt::format("{:<16} {:>9}   known once two checkpoints were taken", "dirty pages", "-"));
  lines.push_back(
      fmt::format("{:<16} {:>9}/s {:>10}/s", "disk reads", short_number(rates.reads), size_of(rates.bytes_read)));
  lines.push_back(
      fmt::format("{:<16} {:>9}/s {:>10}/s", "disk writes", short_number(rates.writes), size_of(rates.bytes_written)));
  for (const DiskStatus& disk : status.disks) lines.push_back(disk_line(disk));
  if (status.load)
    lines.push_back(fmt::format("{:<16} {:>9} still to be read", "memory", format_size(status.load->bytes_left)));
  lines.emplace_back();
  const std::size_t room = height > lines.size() ? height - lines.size() : 0;
  const std::size_t first = happened.size() - std::min(happened.size(), room);
  lines.insert(lines.end(), happened.begin() + static_cast<std::ptrdiff_t>(first), happened.end());
  if (lines.size() > height) lines.resize(height);
  for (std::string& line : lines) line = cut(printable(line), width);
  return lines;
}

}  // namespace tintype
