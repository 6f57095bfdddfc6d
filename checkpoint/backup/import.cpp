// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/import.h"

#include <fcntl.h>

#include <algorithm>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/store/chain.h"
#include "checkpoint/store/open_checkpoint.h"
#include "checkpoint/store/small_file.h"
#include "checkpoint/store/space.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"

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

PendingCheckpoint begin(Repository& repository, const Identities& known, const Manifest& manifest) {
  const auto parent = parent_here(known, manifest);
  require_space(repository.path(), bytes_of(manifest), "the checkpoint");
  return repository.begin(parent, Parents::kDeletedToo);
}

}  // namespace

Identities::Identities(const Repository& repository) {
  for (const auto& ids : {repository.bases(), repository.ids()}) {
    for (const std::uint64_t id : ids) {
      try {
        add({id, repository.read_manifest(repository.directory_of(id), id)->identity});
      } catch (const std::exception&) {  // whoever verifies it will hear of it
      }
    }
  }
}

std::optional<ParentRef> Identities::find(const std::string& identity) const {
  const auto found = ids_.find(identity);
  return found == ids_.end() ? std::nullopt : std::optional(ParentRef{found->second, identity});
}

CheckpointImport::CheckpointImport(Repository& repository, const Identities& known, Manifest manifest)
    : manifest_(std::move(manifest)), pending_(begin(repository, known, manifest_)) {
  const Manifest* const parent = pending_.parent().get();
  manifest_.format = kManifestFormat;
  manifest_.id = manifest_.report.id = pending_.id();
  manifest_.parent = manifest_.report.parent = parent != nullptr ? parent->id : 0;
  manifest_.report.repository = repository.path().string();
  if (parent != nullptr) check_parent(manifest_, *parent);
}

void CheckpointImport::begin_file(const std::string& name) {
  end_file();
  const auto part = std::ranges::find(manifest_.parts, name, &PartDescription::file);
  if (part == manifest_.parts.end()) throw ImageError("{} does not belong to the checkpoint", name);
  const auto path = pending_.directory() / name;
  if (std::ranges::find(files_, path, &Written::path) != files_.end()) throw ImageError("{} comes twice", name);
  files_.push_back({path, open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600), 0, part->summary.file_bytes});
}

void CheckpointImport::write(std::span<const std::byte> bytes) {
  if (files_.empty()) throw ImageError("there is data that belongs to no file");
  Written& file = files_.back();
  if (bytes.size() > file.expected - file.bytes)
    throw ImageError("{} is longer than its {} bytes", file.path.filename().string(), file.expected);
  try {
    write_exactly(file.fd.get(), bytes, file.bytes, file.path.string());
  } catch (const std::system_error& error) {
    throw_write_error(file.path, error.code().value());
  }
  file.bytes += bytes.size();
}

void CheckpointImport::end_file() const {
  if (files_.empty()) return;
  const Written& file = files_.back();
  if (file.bytes != file.expected)
    throw ImageError("{} has {} bytes instead of {}", file.path.filename().string(), file.bytes, file.expected);
  start_writeback(file.fd.get());
}

ParentRef CheckpointImport::finish() {
  end_file();
  check_all();
  const std::string text = encode_manifest(manifest_);
  SmallFile manifest(pending_.directory() / checkpoint_files::kManifest, std::as_bytes(std::span(text)));
  for (const Written& file : files_) sync_file(file.fd.get(), file.path.string());
  manifest.sync();
  const ParentRef done{pending_.id(), manifest_.identity};
  pending_.seal();
  return done;
}

// As verify does. What comes may have been damaged where it comes from, before anybody summed it up for the way.
void CheckpointImport::check_all() const {
  check_machine(manifest_);
  std::vector<std::byte> data;
  for (const PartDescription& part : manifest_.parts) {
    if (part.name == checkpoint_files::kStateName) {
      static_cast<void>(read_states(pending_.directory(), manifest_));
      continue;
    }
    const auto kind = part.name == checkpoint_files::kMemoryName ? PartKind::kMemory : PartKind::kDisk;
    const auto reader = open_part(pending_.directory(), part, kind);
    reader->check_gaps();
    for (const Extent& extent : reader->extents()) {
      data.resize(extent.data_bytes());
      reader->read_extent(extent, data);
    }
  }
}

}  // namespace tintype
