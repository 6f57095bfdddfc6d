// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/check_notes.h"

#include <fcntl.h>

#include <sys/file.h>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/format/json_fields.h"
#include "checkpoint/format/manifest.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/base/unnamed_file.h"

namespace tintype {

using json_fields::Same;

void fields(auto& archive, Same<CheckNote> auto& note) {
  archive("time", note.time);
  archive("good", note.good);
  archive("said", note.said);
}

void fields(auto& archive, Same<CheckNotes> auto& notes) {
  archive("verified", notes.verified);
  archive("drilled", notes.drilled);
  archive.later("brought", notes.brought);
}

namespace {

constexpr const char* kFile = checkpoint_files::kChecks;

template <typename Notes>
std::string text_of(const Notes& notes) {
  json_fields::Writer writer;
  fields(writer, notes);
  return writer.take().dump(2) + "\n";
}

template <typename Notes>
std::optional<Notes> read_text(std::string_view text) {
  try {
    const auto json = json_fields::Json::parse(text);
    json_fields::Reader reader(json, kFile);
    Notes notes;
    fields(reader, notes);
    return notes;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace

CheckNote check_note(bool good, std::string said) { return {utc_time_text(), good, std::move(said)}; }

std::optional<CheckNote>& note_of(CheckNotes& notes, Check which) noexcept {
  switch (which) {
    case Check::kVerified:
      return notes.verified;
    case Check::kDrilled:
      return notes.drilled;
    case Check::kBrought:
      break;
  }
  return notes.brought;
}

std::string encode_note(const CheckNote& note) { return text_of(note); }

std::string encode_notes(const CheckNotes& notes) { return text_of(notes); }

std::optional<CheckNote> decode_note(std::string_view text) { return read_text<CheckNote>(text); }

CheckNotes read_check_notes(const std::filesystem::path& checkpoint) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(checkpoint / kFile, error)) return {};
  try {
    return read_text<CheckNotes>(read_text_file(checkpoint / kFile)).value_or(CheckNotes{});
  } catch (const std::exception&) {
    return {};
  }
}

void write_check_note(const std::filesystem::path& checkpoint, Check which, const CheckNote& note) {
  const UniqueFd directory = open_file(checkpoint, O_RDONLY | O_DIRECTORY);
  if (::flock(directory.get(), LOCK_EX) != 0) throw_errno("flock {}", checkpoint.string());
  CheckNotes notes = read_check_notes(checkpoint);
  note_of(notes, which) = note;
  const std::string text = text_of(notes);
  UnnamedFile file(checkpoint);
  write_exactly(file.fd(), std::as_bytes(std::span(text)), 0, kFile);
  file.replace(checkpoint / kFile);
}

}  // namespace tintype
