// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/retention.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <map>
#include <optional>
#include <set>

#include "vmm/base/error.h"

namespace tintype {
namespace {

constexpr std::array<std::string_view, kPeriods> kNames{"last", "hourly", "daily", "weekly", "monthly", "yearly"};

constexpr std::string_view kWithin = "within";
struct AgeUnit {
  char letter;
  std::chrono::seconds lasts;
};
constexpr AgeUnit kAgeUnits[] = {{'d', std::chrono::days(1)},
                                 {'h', std::chrono::hours(1)},
                                 {'m', std::chrono::minutes(1)},
                                 {'s', std::chrono::seconds(1)}};
constexpr std::chrono::seconds kLongestAge = std::chrono::days(36'500);

/// Which period of its kind it lies in, as a number.
std::int64_t period_at(Period period, std::chrono::sys_seconds time) {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const year_month_day date{day};
  switch (period) {
    case Period::kHourly:
      return floor<hours>(time).time_since_epoch().count();
    case Period::kDaily:
      return day.time_since_epoch().count();
    case Period::kWeekly:
      return floor<weeks>(day + days(3)).time_since_epoch().count();  // 1970 began on a Thursday
    case Period::kMonthly:
      return static_cast<int>(date.year()) * 12 + static_cast<unsigned>(date.month());
    case Period::kYearly:
      return static_cast<int>(date.year());
    case Period::kLast:
      break;
  }
  return 0;
}

/// The value of "daily=7".
std::uint64_t parse_count(std::string_view text, std::string_view word, std::string_view option) {
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error == std::errc() && end == text.data() + text.size() && !text.empty()) return count;
  throw UsageError("{} cannot be \"{}\": after each = stands a whole number, as in daily=7", option, word);
}

/// The value of "within=30d".
std::chrono::seconds parse_age(std::string_view text, std::string_view word, std::string_view option) {
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  for (const AgeUnit& unit : kAgeUnits) {
    if (error != std::errc() || end + 1 != text.data() + text.size() || *end != unit.letter) continue;
    if (count <= static_cast<std::uint64_t>(kLongestAge / unit.lasts)) return unit.lasts * count;
    throw UsageError("{} cannot be \"{}\": that is more than a hundred years", option, word);
  }
  throw UsageError("{} cannot be \"{}\": after within= stands a time, as 30d, 12h, 30m or 10s", option, word);
}

/// In the largest unit that it is a multiple of.
std::string text_of_age(std::chrono::seconds age) {
  const auto* const unit =
      std::ranges::find_if(kAgeUnits, [&](const AgeUnit& each) { return age % each.lasts == std::chrono::seconds(0); });
  return fmt::format("{}{}", age / unit->lasts, unit->letter);
}

}  // namespace

std::optional<std::chrono::sys_seconds> parse_utc(const std::string& text) {
  int year = 0;
  unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (std::sscanf(text.c_str(), "%4d-%2u-%2uT%2u:%2u:%2uZ", &year, &month, &day, &hour, &minute, &second) != 6)
    return {};
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  if (!date.ok()) return {};
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

Retention parse_retention(std::string_view text, std::string_view option) {
  Retention retention;
  std::set<std::string_view> seen;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view word = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    const std::string_view name = word.substr(0, word.find('='));
    const auto* const found = std::ranges::find(kNames, name);
    if ((found == kNames.end() && name != kWithin) || name.size() == word.size())
      throw UsageError("{} cannot be \"{}\": give some of {}=N, within=TIME, separated by commas", option, word,
                       fmt::join(kNames, "=N, "));
    if (!seen.insert(name).second) throw UsageError("{}: \"{}\" is given twice", option, name);
    const std::string_view value = word.substr(name.size() + 1);
    if (name == kWithin)
      retention.within = parse_age(value, word, option);
    else
      retention.counts[static_cast<std::size_t>(found - kNames.begin())] = parse_count(value, word, option);
  }
  if (retention == Retention{})
    throw UsageError("{} \"{}\" would keep nothing: give some of {}=N, within=TIME, separated by commas", option, text,
                     fmt::join(kNames, "=N, "));
  return retention;
}

std::string text_of(const Retention& retention) {
  std::string text;
  for (std::size_t i = 0; i < kPeriods; ++i) {
    if (retention.counts[i] != 0)
      text += fmt::format("{}{}={}", text.empty() ? "" : ",", kNames[i], retention.counts[i]);
  }
  if (retention.within.count() != 0)
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", kWithin, text_of_age(retention.within));
  return text;
}

std::vector<Verdict> judge(std::span<const Dated> checkpoints, const Retention& retention) {
  std::map<std::uint64_t, const Dated*> by_id;
  for (const Dated& checkpoint : checkpoints) by_id[checkpoint.id] = &checkpoint;
  std::array<std::set<std::int64_t>, kPeriods> used;
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  std::optional<std::chrono::sys_seconds> latest;  // of the newest whose time can be read
  std::vector<Verdict> verdicts;
  for (auto newest = by_id.rbegin(); newest != by_id.rend(); ++newest) {
    const auto time = parse_utc(newest->second->time);
    if (!latest && time) latest = std::min(*time, now);  // by a clock that ran ahead everything else is old
    Verdict verdict{newest->first, {}};
    for (std::size_t i = 0; i < kPeriods; ++i) {
      const Period period{static_cast<std::uint8_t>(i)};
      if (used[i].size() >= retention[period] || (!time && period != Period::kLast)) continue;
      const auto which = period == Period::kLast ? static_cast<std::int64_t>(newest->first) : period_at(period, *time);
      if (used[i].insert(which).second) verdict.because.push_back(kNames[i]);
    }
    if (retention.within.count() != 0 && (!time || *time >= *latest - retention.within))
      verdict.because.push_back(kWithin);
    verdicts.push_back(std::move(verdict));
  }
  std::ranges::reverse(verdicts);
  return verdicts;
}

}  // namespace tintype
