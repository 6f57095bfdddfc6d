// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/check_notes.h"

#include <fcntl.h>

#include <sys/file.h>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/format/json_fields.h"
#include "checkpoint/format/manifest.h"
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
}

namespace {

constexpr const char* kFile = checkpoint_files::kChecks;

/// Two that note something at the same time come one after the other.
void change(const std::filesystem::path& checkpoint, const std::function<void(CheckNotes&)>& note) noexcept {
  try {
    const UniqueFd directory = open_file(checkpoint, O_RDONLY | O_DIRECTORY);
    if (::flock(directory.get(), LOCK_EX) != 0) return;
    CheckNotes notes = read_check_notes(checkpoint);
    note(notes);
    json_fields::Writer writer;
    fields(writer, notes);
    const std::string text = writer.take().dump(2) + "\n";
    UnnamedFile file(checkpoint);
    write_exactly(file.fd(), std::as_bytes(std::span(text)), 0, kFile);
    file.replace(checkpoint / kFile);
  } catch (const std::exception&) {  // a repository that is read-only, or full, has no notes
  }
}

}  // namespace

CheckNotes read_check_notes(const std::filesystem::path& checkpoint) {
  if (checkpoint.empty()) return {};
  CheckNotes notes;
  try {
    const auto json = json_fields::Json::parse(read_text_file(checkpoint / kFile));
    json_fields::Reader reader(json, kFile);
    fields(reader, notes);
  } catch (const std::exception&) {
    return {};
  }
  return notes;
}

void note_verified(const std::filesystem::path& checkpoint, bool good, const std::string& said) noexcept {
  change(checkpoint, [&](CheckNotes& notes) { notes.verified = CheckNote{utc_time_text(), good, said}; });
}

void note_drilled(const std::filesystem::path& checkpoint, bool good, const std::string& said) noexcept {
  change(checkpoint, [&](CheckNotes& notes) { notes.drilled = CheckNote{utc_time_text(), good, said}; });
}

}  // namespace tintype
