// SPDX-License-Identifier: Apache-2.0
#include "vmm/watch/machine_watch.h"

#include <algorithm>
#include <utility>

#include "vmm/base/error.h"

namespace tintype {

using nlohmann::json;

namespace {

constexpr auto kAnswerTime = std::chrono::seconds(30), kHangUpTime = std::chrono::seconds(2);

DiskStatus sum_of(const std::vector<DiskStatus>& disks) {
  DiskStatus sum;
  for (const DiskStatus& disk : disks) {
    sum.reads += disk.reads;
    sum.writes += disk.writes;
    sum.bytes_read += disk.bytes_read;
    sum.bytes_written += disk.bytes_written;
  }
  return sum;
}

using Count = std::optional<std::uint64_t>;

json known_or_null(std::optional<double> rate) { return rate ? json(*rate) : json(); }

/// Whose rates are not yet known; what is not counted never is.
std::optional<double> zero_if_counted(Count count) { return count ? std::optional(0.0) : std::nullopt; }

}  // namespace

WatchSample RateMeter::take(const StatusReport& status, Clock::time_point now) {
  WatchSample sample{status, {}};
  sample.rates.interrupts = zero_if_counted(status.interrupts);
  sample.rates.page_faults = zero_if_counted(status.page_faults);
  sample.rates.dirty_pages = dirty_pages_;
  const StatusReport before = before_.value_or(status);
  const double seconds = before_ ? std::chrono::duration<double>(now - then_).count() : 0;
  before_ = status;
  then_ = now;
  if (seconds <= 0) return sample;
  const auto rate = [seconds](std::uint64_t from, std::uint64_t to) {
    return to < from ? 0 : static_cast<double>(to - from) / seconds;
  };
  const auto rate_if_known = [&rate](Count from, Count to) {
    return from && to ? std::optional(rate(*from, *to)) : std::nullopt;
  };
  const DiskStatus disks = sum_of(status.disks), disks_before = sum_of(before.disks);
  sample.rates = {rate(before.exits, status.exits),
                  rate_if_known(before.interrupts, status.interrupts),
                  rate_if_known(before.page_faults, status.page_faults),
                  rate(disks_before.reads, disks.reads),
                  rate(disks_before.writes, disks.writes),
                  rate(disks_before.bytes_read, disks.bytes_read),
                  rate(disks_before.bytes_written, disks.bytes_written),
                  dirty_pages_};
  return sample;
}

void RateMeter::note(const json& event) {
  if (event.value("event", "") != "checkpoint" || !event.contains("checkpoint")) return;
  const json& report = event["checkpoint"];
  const auto number = [&report](const char* place) {
    return report.value(json::json_pointer(place), std::uint64_t{0});
  };
  const auto told = event.value("uptime_ms", std::uint64_t{0}) + number("/prepare_ms"), took = number("/total_ms");
  const Seen now{report.value("repository", ""), number("/id"), told - std::min(told, took)};
  const std::optional<Seen> before = std::exchange(seen_, now);
  if (!before || now.repository != before->repository || number("/parent") != before->id || now.at_ms <= before->at_ms)
    return;
  const std::uint64_t pages = number("/memory/pages_written") + number("/memory/pages_zero");
  dirty_pages_ = static_cast<double>(pages) * 1000 / static_cast<double>(now.at_ms - before->at_ms);
}

json sample_to_json(const WatchSample& sample) {
  const WatchRates& rates = sample.rates;
  return {{"status", status_to_json(sample.status)},
          {"per_second",
           {{"exits", rates.exits},
            {"interrupts", known_or_null(rates.interrupts)},
            {"page_faults", known_or_null(rates.page_faults)},
            {"reads", rates.reads},
            {"writes", rates.writes},
            {"bytes_read", rates.bytes_read},
            {"bytes_written", rates.bytes_written},
            {"dirty_pages", known_or_null(rates.dirty_pages)}}}};
}

MachineWatch::MachineWatch(ControlClient calls, ControlClient events)
    : calls_(std::move(calls)), events_(std::move(events)) {
  events_.follow("events", {{"past", true}});
}

std::optional<WatchSample> MachineWatch::look() {
  try {
    const json status = calls_.call("status", json::object(), kAnswerTime);
    return meter_.take(status_from_json(status), RateMeter::Clock::now());
  } catch (const Error&) {
    if (calls_.wait_for_end(kHangUpTime)) return std::nullopt;
    throw;
  }
}

std::optional<json> MachineWatch::next_event(std::chrono::milliseconds patience) {
  auto event = events_.next(patience);
  if (event) meter_.note(*event);
  if (event) event->erase("id");
  return event;
}

}  // namespace tintype
