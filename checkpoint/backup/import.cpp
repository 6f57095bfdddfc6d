// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/import.h"

#include <algorithm>
#include <utility>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/store/chain.h"
#include "checkpoint/store/open_checkpoint.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

/// The checkpoint of this repository that takes the place of the parent where it comes from.
std::optional<ParentRef> parent_here(const Identities& known, const Manifest& manifest) {
  if (manifest.parent == 0) return std::nullopt;
  const auto parent = manifest.parent_identity ? known.find(*manifest.parent_identity) : std::nullopt;
  if (!parent) {
    throw ImageError(
        "checkpoint {} of {} builds on checkpoint {}, which is not here: send that one first, or all of the chain "
        "(without --from)",
        manifest.id, manifest.vm, manifest.parent);
  }
  return parent;
}

std::uint64_t bytes_of(const Manifest& manifest) {
  std::uint64_t bytes = 0;
  for (const PartDescription& part : manifest.parts) bytes += part.summary.file_bytes;
  return bytes;
}

std::unique_ptr<CheckpointDraft> begin(CheckpointStore& store, const Identities& known, const Manifest& manifest) {
  return store.draft(parent_here(known, manifest), Parents::kDeletedToo, bytes_of(manifest));
}

}  // namespace

// Bases are asked for last: one that becomes a base in between is seen as the one or the other.
void Identities::look_again() {
  const auto before = std::exchange(seen_, {});
  ids_.clear();
  const auto see = [&](std::uint64_t id) {
    try {
      const auto known = before.find(id);
      seen_[id] = known != before.end() ? known->second : store_.manifest_of(id)->identity;
    } catch (const std::exception&) {  // whoever verifies it will hear of it
    }
  };
  for (const std::uint64_t id : store_.ids()) see(id);
  for (const std::uint64_t id : store_.bases()) see(id);
  for (const auto& [id, identity] : seen_) ids_[identity] = id;
}

void Identities::add(const ParentRef& checkpoint) {
  seen_[checkpoint.id] = checkpoint.identity;
  ids_[checkpoint.identity] = checkpoint.id;
}

std::optional<ParentRef> Identities::find(const std::string& identity) const {
  const auto found = ids_.find(identity);
  return found == ids_.end() ? std::nullopt : std::optional(ParentRef{found->second, identity});
}

CheckpointImport::CheckpointImport(CheckpointStore& store, const Identities& known, Manifest manifest, bool for_others)
    : manifest_(std::move(manifest)), draft_(begin(store, known, manifest_)) {
  const Manifest* const parent = draft_->parent().get();
  manifest_.format = kManifestFormat;
  manifest_.parent = manifest_.report.parent = parent != nullptr ? parent->id : 0;
  manifest_.report.repository = store.name();
  if (parent != nullptr) check_parent(manifest_, *parent);
  if (for_others)
    draft_->remark(Check::kBrought, check_note(true, "for others that build on it, and have not come yet"));
}

void CheckpointImport::begin_file(const std::string& name) {
  end_file();
  const auto part = std::ranges::find(manifest_.parts, name, &PartDescription::file);
  if (part == manifest_.parts.end()) throw ImageError("{} does not belong to the checkpoint", name);
  if (std::ranges::find(files_, name, &Written::name) != files_.end()) throw ImageError("{} comes twice", name);
  files_.push_back({name, draft_->create(name, part->summary.file_bytes), 0, part->summary.file_bytes});
}

void CheckpointImport::write(std::span<const std::byte> bytes) {
  if (files_.empty()) throw ImageError("there is data that belongs to no file");
  Written& file = files_.back();
  if (bytes.size() > file.expected - file.bytes)
    throw ImageError("{} is longer than its {} bytes", file.name, file.expected);
  file.output->write(bytes, file.bytes);
  file.bytes += bytes.size();
}

void CheckpointImport::end_file() {
  if (files_.empty()) return;
  const Written& file = files_.back();
  if (file.bytes != file.expected)
    throw ImageError("{} has {} bytes instead of {}", file.name, file.bytes, file.expected);
  file.output->truncate(file.bytes);
  file.output->start_writeback();
}

bool CheckpointImport::finish(Identities& known) {
  end_file();
  for (const Written& file : files_) file.output->finish_writeback();
  check_all();
  const auto sync_parts = [this] {
    for (const Written& file : files_) file.output->sync();
  };
  const auto is_new = [&] {
    known.look_again();
    return !known.find(manifest_.identity);
  };
  if (!draft_->seal(manifest_, sync_parts, is_new)) return false;
  known.add({manifest_.id, manifest_.identity});
  return true;
}

// As verify does. What comes may have been damaged where it comes from, before anybody summed it up for the way.
void CheckpointImport::check_all() const {
  check_machine(manifest_);
  const auto folder = draft_->written();
  std::vector<std::byte> spare;
  for (const PartDescription& part : manifest_.parts) {
    if (part.name == checkpoint_files::kStateName) {
      static_cast<void>(read_states(*folder, manifest_));
      continue;
    }
    const auto kind = part.name == checkpoint_files::kMemoryName ? PartKind::kMemory : PartKind::kDisk;
    const auto reader = open_part(*folder, part, kind);
    reader->check_gaps();
    for (const Extent& extent : reader->extents()) reader->check_extent(extent, spare);
  }
}

}  // namespace tintype
