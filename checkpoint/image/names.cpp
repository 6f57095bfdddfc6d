// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/image/names.h"

#include <array>
#include <utility>

namespace tintype {
namespace {

constexpr std::array<std::pair<Strategy, std::string_view>, 6> kStrategies{{{Strategy::kAuto, "auto"},
                                                                            {Strategy::kStop, "stop"},
                                                                            {Strategy::kPrecopy, "precopy"},
                                                                            {Strategy::kCow, "cow"},
                                                                            {Strategy::kFork, "fork"},
                                                                            {Strategy::kHybrid, "hybrid"}}};

constexpr std::array<std::pair<Compression, std::string_view>, 3> kCompressions{
    {{Compression::kNone, "none"}, {Compression::kLz4, "lz4"}, {Compression::kZstd, "zstd"}}};

template <typename Table, typename Value>
std::string_view name_in(const Table& table, Value value) noexcept {
  for (const auto& [known, name] : table) {
    if (known == value) return name;
  }
  return "unknown";
}

template <typename Value, typename Table>
std::optional<Value> value_in(const Table& table, std::string_view name) noexcept {
  for (const auto& [value, known] : table) {
    if (known == name) return value;
  }
  return std::nullopt;
}

}  // namespace

std::string_view name_of(Strategy strategy) noexcept { return name_in(kStrategies, strategy); }
std::string_view name_of(Compression compression) noexcept { return name_in(kCompressions, compression); }
std::optional<Strategy> strategy_of(std::string_view name) noexcept { return value_in<Strategy>(kStrategies, name); }
std::optional<Compression> compression_of(std::string_view name) noexcept {
  return value_in<Compression>(kCompressions, name);
}

}  // namespace tintype
