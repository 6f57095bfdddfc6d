// SPDX-License-Identifier: Apache-2.0
#pragma once

// What came of looking at a checkpoint again, and what it was brought for: kept beside it (CheckpointStore::note).
// It is a remark and no part of the checkpoint: nothing is lost with it, it is not carried elsewhere, and what takes a
// checkpoint's place has none.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace tintype {

struct CheckNote {
  std::string time;  ///< UTC, ISO 8601
  bool good = false;
  std::string said;  ///< what was seen, or what is wrong
};

struct CheckNotes {
  std::optional<CheckNote> verified, drilled;
  std::optional<CheckNote> brought;  ///< good: only for others that build on it, which have not come yet
};

enum class Check : std::uint8_t { kVerified, kDrilled, kBrought };

/// Of this moment.
CheckNote check_note(bool good, std::string said);
std::optional<CheckNote>& note_of(CheckNotes& notes, Check which) noexcept;

/// One by itself, for a store that keeps each apart.
std::string encode_note(const CheckNote& note);
/// Of untrusted text; nothing where it is none.
std::optional<CheckNote> decode_note(std::string_view text);

// In the directory of a checkpoint all are in one file, `checks.json`.

std::string encode_notes(const CheckNotes& notes);

/// Nothing where there is none, or none that can be read.
CheckNotes read_check_notes(const std::filesystem::path& checkpoint);
/// Throws tintype::Error where it cannot be written. Two at the same time come one after the other.
void write_check_note(const std::filesystem::path& checkpoint, Check which, const CheckNote& note);

}  // namespace tintype
