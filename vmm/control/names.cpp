// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/names.h"

#include <array>
#include <utility>

#include "vmm/base/error.h"

namespace tintype {

namespace {

template <typename T, std::size_t N>
using Words = std::array<std::pair<T, std::string_view>, N>;

constexpr Words<Strategy, 6> kStrategies = {{{Strategy::kAuto, "auto"},
                                             {Strategy::kStop, "stop"},
                                             {Strategy::kPrecopy, "precopy"},
                                             {Strategy::kCow, "cow"},
                                             {Strategy::kFork, "fork"},
                                             {Strategy::kHybrid, "hybrid"}}};
constexpr Words<Compression, 3> kCompressions = {
    {{Compression::kNone, "none"}, {Compression::kLz4, "lz4"}, {Compression::kZstd, "zstd"}}};
constexpr Words<RunState, 4> kRunStates = {{{RunState::kCreated, "created"},
                                            {RunState::kRunning, "running"},
                                            {RunState::kPaused, "paused"},
                                            {RunState::kStopped, "stopped"}}};
constexpr Words<DiskMode, 3> kDiskModes = {{{DiskMode::kPersistent, "persistent"},
                                            {DiskMode::kUndoable, "undoable"},
                                            {DiskMode::kNonpersistent, "nonpersistent"}}};

template <typename T, std::size_t N>
std::string word_of(const Words<T, N>& words, T value) {
  for (const auto& [candidate, word] : words) {
    if (candidate == value) return std::string(word);
  }
  return fmt::format("unknown-{}", static_cast<unsigned>(value));
}

template <typename T, std::size_t N>
T value_of(const Words<T, N>& words, std::string_view text, std::string_view option) {
  std::string known;
  for (const auto& [value, word] : words) {
    if (word == text) return value;
    known += (known.empty() ? "" : ", ") + std::string(word);
  }
  throw UsageError("{} cannot be \"{}\": choose one of {}.", option, text, known);
}

}  // namespace

std::string to_text(Strategy strategy) { return word_of(kStrategies, strategy); }
std::string to_text(Compression compression) { return word_of(kCompressions, compression); }
std::string to_text(RunState state) { return word_of(kRunStates, state); }
std::string to_text(DiskMode mode) { return word_of(kDiskModes, mode); }

Strategy strategy_from_text(std::string_view text, std::string_view option) { return value_of(kStrategies, text, option); }
Compression compression_from_text(std::string_view text, std::string_view option) {
  return value_of(kCompressions, text, option);
}
DiskMode disk_mode_from_text(std::string_view text, std::string_view option) { return value_of(kDiskModes, text, option); }

}  // namespace tintype
