// SPDX-License-Identifier: Apache-2.0
#pragma once

// What came of looking at a checkpoint again: kept beside it, in `checks.json`. It is a remark and no part of the
// checkpoint: nothing is lost with it, it is not carried elsewhere, and what takes a checkpoint's place has none.

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace tintype {

struct CheckNote {
  std::string time;  ///< UTC, ISO 8601
  bool good = false;
  std::string said;  ///< what was seen, or what is wrong
};

struct CheckNotes {
  std::optional<CheckNote> verified, drilled;
};

// Where: CheckpointStore::place_of_remarks(). Empty: there is nothing, and nothing is kept.

/// Nothing where there is none, or none that can be read.
CheckNotes read_check_notes(const std::filesystem::path& checkpoint);
/// Of a checkpoint in a repository; where it cannot be written it is left out. Never throws.
void note_verified(const std::filesystem::path& checkpoint, bool good, const std::string& said) noexcept;
void note_drilled(const std::filesystem::path& checkpoint, bool good, const std::string& said) noexcept;

}  // namespace tintype
