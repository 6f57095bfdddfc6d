// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/restore/disk_images.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "checkpoint/store/flat_copy.h"
#include "checkpoint/store/space.h"
#include "vmm/base/error.h"
#include "vmm/base/image_note.h"
#include "vmm/base/io.h"

namespace tintype {

namespace fs = std::filesystem;

fs::path image_directory(const fs::path& directory) {
  return directory.empty() ? fs::current_path() : fs::absolute(directory);
}

void check_image_directory(const CheckpointReader& checkpoint, const fs::path& directory) {
  const std::vector<DiskDescription>& disks = checkpoint.manifest().machine.disks;
  if (disks.empty()) return;
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    throw Error("there is no directory {} to put the disks into: name one with --disk-dir", directory.string());
  }
  if (::access(directory.c_str(), W_OK | X_OK) != 0) {
    throw Error("the disks cannot be put into {} ({}): name another directory with --disk-dir", directory.string(),
                errno_text(errno));
  }
  std::uint64_t bytes = 0;
  for (const DiskDescription& disk : disks) bytes += checkpoint.disk(disk.id)->data_blocks() * kBlockSize;
  require_space(directory, bytes, "the restored disks");
}

// Where file systems know no files without names, it loses its hidden one here.
std::shared_ptr<const UniqueFd> make_unnamed(const fs::path& path, std::uint64_t bytes) {
  return std::make_shared<const UniqueFd>(SparseFile(path, bytes).duplicate());
}

fs::path unnamed_path(const fs::path& directory, const std::string& machine, std::size_t disk) {
  return directory / fmt::format("{}-disk{} (no name)", machine, disk);
}

ImagePlace unnamed_place(fs::path path, std::shared_ptr<const UniqueFd> file, std::shared_ptr<const BlockSource> source,
                         std::shared_ptr<ImageChunks> chunks) {
  UniqueFd own(::fcntl(file->get(), F_DUPFD_CLOEXEC, 0));
  if (!own) throw_errno("fcntl(F_DUPFD_CLOEXEC) on {}", path.string());
  auto absent = std::make_shared<LazyDisk>(std::move(source), std::move(own), path, std::move(chunks));
  return {std::move(path), std::move(file), std::move(absent)};
}

DiskImages::DiskImages(std::shared_ptr<const CheckpointReader> checkpoint, std::string machine,
                       const fs::path& directory, Wrap wrap)
    : checkpoint_(std::move(checkpoint)),
      machine_(std::move(machine)),
      directory_(image_directory(directory)),
      wrap_(std::move(wrap)) {
  check_image_directory(*checkpoint_, directory_);
}

DiskImages::~DiskImages() {
  for (const fs::path& path : named_) {
    std::error_code ignored;
    fs::remove(path, ignored);
  }
}

bool DiskImages::tell_incomplete(std::size_t disk, const SparseFile& file) const {
  const Manifest& manifest = checkpoint_->manifest();
  return write_incomplete_note(file.duplicate().get(),
                               {manifest.identity, manifest.id, disks()[disk].id, checkpoint_->repository()});
}

namespace {

/// Where metadata is journaled, an image that comes later has its note before its name after a power cut as well; that
/// both last is seen to while the machine runs (LazyDisk::make_lasting()).
bool must_last_first(Completion when, const SparseFile& file) {
  return when == Completion::kBefore || !journals_metadata(file.duplicate().get());
}

}  // namespace

// There is no name by which an image could be taken for a whole one before it says that it is not. What never has a
// name needs to say nothing.
void DiskImages::write(std::span<const Completion> completions, const ProgressSink& progress) {
  completions_.assign(completions.begin(), completions.end());
  for (std::size_t i = 0; i < disks().size(); ++i) {
    const BlockSource& part = *checkpoint_->disk(disks()[i].id);
    files_.emplace_back();
    unnamed_.emplace_back();
    if (completions_[i] == Completion::kNever) {
      unnamed_.back() = make_unnamed(unnamed_path(directory_, machine_, i), part.content_bytes());
      if (progress) progress({part.name(), 0, 1});
    } else {
      files_.back() = std::make_unique<SparseFile>(name_of(i, 1), part.content_bytes());
      write(i, *files_.back(), progress);
    }
  }
}

void DiskImages::write(std::size_t disk, SparseFile& file, const ProgressSink& progress) {
  const BlockSource& part = *checkpoint_->disk(disks()[disk].id);
  const FlatPlacement whole = whole_part(part);
  if (completions_[disk] == Completion::kMeanwhile && !tell_incomplete(disk, file))
    completions_[disk] = Completion::kBefore;
  if (completions_[disk] == Completion::kBefore) {
    copy_flat(part, std::span(&whole, 1), file, progress);
  } else if (progress) {
    progress({part.name(), 0, 1});
  }
  if (must_last_first(completions_[disk], file)) file.sync();
}

std::shared_ptr<const BlockSource> DiskImages::source_of(std::size_t disk) const {
  std::shared_ptr<const BlockSource> source(checkpoint_, checkpoint_->disk(disks()[disk].id));
  return wrap_ ? wrap_(std::move(source)) : source;
}

ImagePlace DiskImages::publish(std::size_t disk) {
  if (unnamed_[disk]) {
    const auto source = source_of(disk);
    return unnamed_place(unnamed_path(directory_, machine_, disk), unnamed_[disk], source,
                         std::make_shared<ImageChunks>(*source));
  }
  SparseFile& file = *files_[disk];
  unsigned attempt = 1;
  while (!file.take_name(name_of(disk, attempt))) ++attempt;  // images of earlier restores are left alone
  const fs::path& path = named_.emplace_back(name_of(disk, attempt));
  if (completions_[disk] == Completion::kBefore) return {path};
  return {path, {}, std::make_shared<LazyDisk>(source_of(disk), file.duplicate(), path, true)};
}

const std::vector<ImagePlace>& DiskImages::publish() {
  named_.reserve(files_.size());
  for (std::size_t i = 0; i < files_.size(); ++i) places_.push_back(publish(i));
  if (std::ranges::find(completions_, Completion::kBefore) != completions_.end()) sync_directory(directory_);
  files_.clear();
  return places_;
}

fs::path DiskImages::name_of(std::size_t disk, unsigned attempt) const {
  const std::string stem = fmt::format("{}-disk{}", machine_, disk);
  return directory_ / (attempt == 1 ? stem + ".img" : fmt::format("{}-{}.img", stem, attempt));
}

}  // namespace tintype
