// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/directory_draft.h"

#include <exception>
#include <filesystem>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/format/part_file.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

/// Does it; where it fails since somebody removed the directory meanwhile, that is what is said.
template <typename Work>
auto while_it_is_there(const std::filesystem::path& directory, Work&& work) {
  try {
    return work();
  } catch (const std::exception& why) {
    std::error_code unknown;
    if (std::filesystem::exists(directory, unknown) || unknown) throw;
    throw Error("{} was removed while a checkpoint was being written to it ({}): take another one",
                directory.parent_path().string(), why.what());
  }
}

}  // namespace

std::shared_ptr<PartOutput> DirectoryDraft::create(const std::string& file, std::uint64_t) {
  return while_it_is_there(pending_.directory(),
                           [&] { return std::make_shared<PartFile>(pending_.directory() / file, pending_.lasting()); });
}

void DirectoryDraft::put(const std::string& file, std::span<const std::byte> bytes) {
  while_it_is_there(pending_.directory(), [&] { small_files_.emplace_back(pending_.directory() / file, bytes); });
}

void DirectoryDraft::remark(Check which, const CheckNote& note) {
  CheckNotes notes;
  note_of(notes, which) = note;
  const std::string text = encode_notes(notes);
  put(checkpoint_files::kChecks, std::as_bytes(std::span(text)));
}

std::unique_ptr<const CheckpointFolder> DirectoryDraft::written() const {
  return std::make_unique<DirectoryFolder>(pending_.directory());
}

/// One after the other at the end: the first turns the file system's journal, and the others find it turned.
bool DirectoryDraft::seal(Manifest& manifest, const std::function<void()>& sync_parts,
                          const std::function<bool()>& may) {
  manifest.id = manifest.report.id = id();
  const std::string text = encode_manifest(manifest);
  put(checkpoint_files::kManifest, std::as_bytes(std::span(text)));
  sync_parts();
  if (pending_.lasting() == Lasting::kYes)
    for (SmallFile& file : small_files_) file.sync();
  return while_it_is_there(pending_.directory(), [&] { return pending_.seal(may); });
}

}  // namespace tintype
