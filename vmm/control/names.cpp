// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/names.h"

#include "vmm/base/error.h"

namespace tintype {

namespace {

/// `known` is the words, as a sentence lists them.
template <typename T>
T required(std::optional<T> value, std::string_view text, std::string_view option, std::string_view known) {
  if (!value) throw UsageError("{} cannot be \"{}\": choose one of {}", option, text, known);
  return *value;
}

std::optional<DiskMode> disk_mode_of(std::string_view text) {
  for (const DiskMode mode : {DiskMode::kPersistent, DiskMode::kUndoable, DiskMode::kNonpersistent}) {
    if (name_of(mode) == text) return mode;
  }
  return std::nullopt;
}

}  // namespace

std::string_view name_of(RunState state) noexcept {
  switch (state) {
    case RunState::kCreated:
      return "created";
    case RunState::kRunning:
      return "running";
    case RunState::kPaused:
      return "paused";
    case RunState::kStopped:
      return "stopped";
  }
  return "unknown";
}

std::string_view name_of(DiskMode mode) noexcept {
  switch (mode) {
    case DiskMode::kPersistent:
      return "persistent";
    case DiskMode::kUndoable:
      return "undoable";
    case DiskMode::kNonpersistent:
      return "nonpersistent";
  }
  return "unknown";
}

Strategy strategy_from_text(std::string_view text, std::string_view option) {
  return required(strategy_of(text), text, option, "auto, stop, precopy, cow, fork, hybrid");
}

Compression compression_from_text(std::string_view text, std::string_view option) {
  return required(compression_of(text), text, option, "none, lz4, zstd");
}

DiskMode disk_mode_from_text(std::string_view text, std::string_view option) {
  return required(disk_mode_of(text), text, option, "persistent, undoable, nonpersistent");
}

}  // namespace tintype
