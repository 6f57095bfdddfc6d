// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tintype {

/// A period of which the newest checkpoint may be kept. `kLast` is none: each checkpoint is one of its own.
enum class Period : std::uint8_t { kLast, kHourly, kDaily, kWeekly, kMonthly, kYearly };
inline constexpr std::size_t kPeriods = 6;

/// How much of a film is kept: of each kind of period, in how many of the most recent ones that hold a checkpoint the
/// newest of it stays. Hours, days, weeks (from Monday), months and years are those of UTC. And all that are at most
/// `within` older than the newest, which is not its age today: a machine that was off for a month loses nothing by it.
struct Retention {
  std::array<std::uint64_t, kPeriods> counts{};  ///< by Period
  std::chrono::seconds within{};                 ///< 0: age keeps nothing

  std::uint64_t operator[](Period period) const noexcept { return counts[static_cast<std::size_t>(period)]; }
  bool operator==(const Retention&) const = default;
};

/// "last=5,hourly=24,daily=7,weekly=4,monthly=12,yearly=3,within=30d", of which each may be left out, but not all:
/// nothing would be kept. Throws UsageError.
Retention parse_retention(std::string_view text, std::string_view option);
std::string text_of(const Retention& retention);

/// "2024-05-01T12:34:56Z", as manifests have it; nothing where it is no such text.
std::optional<std::chrono::sys_seconds> parse_utc(const std::string& text);

/// A checkpoint as retention sees it.
struct Dated {
  std::uint64_t id = 0;
  std::string time;  ///< UTC, ISO 8601: "2024-05-01T12:34:56Z"
};

/// What is said of one of them.
struct Verdict {
  std::uint64_t id = 0;
  std::vector<std::string_view> because;  ///< "last", "daily", "within"; empty: it may go
};

/// In the order of their ids. Which is newer is the id's to say, not the clock's, which may have been set back. One
/// whose time cannot be read counts for `last` only, and stays where there is a `within`. Throws nothing but bad_alloc.
std::vector<Verdict> judge(std::span<const Dated> checkpoints, const Retention& retention);

}  // namespace tintype
