// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/amounts.h"

#include <array>

#include <fmt/format.h>

namespace tintype {

std::string format_size(std::uint64_t bytes) {
  constexpr std::array kNames = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  double value = static_cast<double>(bytes);
  for (; value >= 1024 && unit + 1 < kNames.size(); ++unit) value /= 1024;
  const bool whole = value == static_cast<double>(static_cast<std::uint64_t>(value));
  return whole ? fmt::format("{:.0f} {}", value, kNames[unit]) : fmt::format("{:.1f} {}", value, kNames[unit]);
}

std::string counted(std::uint64_t count, std::string_view thing) {
  return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

std::string format_microseconds(std::uint64_t us) {
  return us < 1'000'000 ? fmt::format("{}.{:03} ms", us / 1000, us % 1000) : format_duration(us / 1000);
}

std::string format_duration(std::uint64_t ms) {
  const std::uint64_t seconds = ms / 1000;
  if (seconds < 60) return fmt::format("{}.{} s", seconds, ms % 1000 / 100);
  if (seconds < 3600) return fmt::format("{}m {:02}s", seconds / 60, seconds % 60);
  return fmt::format("{}h {:02}m {:02}s", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

std::string format_period(std::uint64_t ms) {
  constexpr std::pair<std::uint64_t, const char*> kUnits[] = {{3'600'000, "h"}, {60'000, "m"}, {1000, "s"}};
  for (const auto& [length, unit] : kUnits)
    if (ms != 0 && ms % length == 0) return fmt::format("{}{}", ms / length, unit);
  return fmt::format("{}ms", ms);
}

}  // namespace tintype
