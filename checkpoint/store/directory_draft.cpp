// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/directory_draft.h"

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/format/part_file.h"

namespace tintype {

std::shared_ptr<PartOutput> DirectoryDraft::create(const std::string& file, std::uint64_t) {
  return std::make_shared<PartFile>(pending_.directory() / file, pending_.lasting());
}

void DirectoryDraft::put(const std::string& file, std::span<const std::byte> bytes) {
  small_files_.emplace_back(pending_.directory() / file, bytes);
}

std::unique_ptr<const CheckpointFolder> DirectoryDraft::written() const {
  return std::make_unique<DirectoryFolder>(pending_.directory());
}

/// One after the other at the end: the first turns the file system's journal, and the others find it turned.
void DirectoryDraft::seal(Manifest& manifest, const std::function<void()>& sync_parts) {
  manifest.id = manifest.report.id = id();
  const std::string text = encode_manifest(manifest);
  put(checkpoint_files::kManifest, std::as_bytes(std::span(text)));
  sync_parts();
  if (pending_.lasting() == Lasting::kYes)
    for (SmallFile& file : small_files_) file.sync();
  pending_.seal();
}

}  // namespace tintype
