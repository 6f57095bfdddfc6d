// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/restore/disk_images.h"

#include <unistd.h>

#include <algorithm>

#include "checkpoint/store/flat_copy.h"
#include "checkpoint/store/space.h"
#include "vmm/base/error.h"
#include "vmm/base/image_note.h"
#include "vmm/base/io.h"

namespace tintype {

namespace fs = std::filesystem;

DiskImages::DiskImages(std::shared_ptr<const CheckpointReader> checkpoint, std::string machine, fs::path directory,
                       Wrap wrap)
    : checkpoint_(std::move(checkpoint)),
      machine_(std::move(machine)),
      directory_(directory.empty() ? fs::current_path() : std::move(directory)),
      wrap_(std::move(wrap)) {
  if (!disks().empty()) check_directory();
}

DiskImages::~DiskImages() {
  for (const fs::path& path : named_) {
    std::error_code ignored;
    fs::remove(path, ignored);
  }
}

void DiskImages::check_directory() const {
  std::error_code error;
  if (!fs::is_directory(directory_, error)) {
    throw Error("there is no directory {} to put the disks into: name one with --disk-dir", directory_.string());
  }
  if (::access(directory_.c_str(), W_OK | X_OK) != 0) {
    throw Error("the disks cannot be put into {} ({}): name another directory with --disk-dir", directory_.string(),
                errno_text(errno));
  }
  std::uint64_t bytes = 0;
  for (const DiskDescription& disk : disks()) bytes += checkpoint_->disk(disk.id)->data_blocks() * kBlockSize;
  require_space(directory_, bytes, "the restored disks");
}

bool DiskImages::tell_incomplete(std::size_t disk, const SparseFile& file) const {
  const Manifest& manifest = checkpoint_->manifest();
  return write_incomplete_note(file.duplicate().get(),
                               {manifest.identity, manifest.id, disks()[disk].id, checkpoint_->repository()});
}

namespace {

/// Where metadata is journaled, an image that comes later has its note before its name after a power cut as well; that
/// both last is seen to while the machine runs (LazyDisk::make_lasting()). One that never does goes with the process.
bool must_last_first(Completion when, const SparseFile& file) {
  if (when == Completion::kMeanwhile) return !journals_metadata(file.duplicate().get());
  return when == Completion::kBefore;
}

}  // namespace

// There is no name by which an image could be taken for a whole one before it says that it is not.
void DiskImages::write(std::span<const Completion> completions, const ProgressSink& progress) {
  for (std::size_t i = 0; i < disks().size(); ++i) {
    const BlockSource& part = *checkpoint_->disk(disks()[i].id);
    SparseFile& file = *files_.emplace_back(std::make_unique<SparseFile>(name_of(i, 1), part.content_bytes()));
    const bool later = completions[i] != Completion::kBefore && tell_incomplete(i, file);
    completions_.push_back(later ? completions[i] : Completion::kBefore);
    const FlatPlacement whole = whole_part(part);
    if (!later) {
      copy_flat(part, std::span(&whole, 1), file, progress);
    } else if (progress) {
      progress({part.name(), 0, 1});
    }
    if (must_last_first(completions_.back(), file)) file.sync();
  }
}

const std::vector<fs::path>& DiskImages::publish() {
  named_.reserve(files_.size());
  for (std::size_t i = 0; i < files_.size(); ++i) {
    unsigned attempt = 1;
    while (!files_[i]->take_name(name_of(i, attempt))) ++attempt;  // images of earlier restores are left alone
    named_.push_back(name_of(i, attempt));
    absent_.emplace_back();
    if (completions_[i] == Completion::kBefore) continue;
    std::shared_ptr<const BlockSource> source(checkpoint_, checkpoint_->disk(disks()[i].id));
    if (wrap_) source = wrap_(std::move(source));
    absent_.back() = std::make_shared<LazyDisk>(std::move(source), files_[i]->duplicate(), named_.back(),
                                                completions_[i] == Completion::kMeanwhile);
  }
  if (std::ranges::find(completions_, Completion::kBefore) != completions_.end()) sync_directory(directory_);
  files_.clear();
  return named_;
}

void DiskImages::keep() {
  for (std::size_t i = 0; i < named_.size(); ++i)
    if (completions_[i] == Completion::kNever) fs::remove(named_[i]);
  named_.clear();
}

fs::path DiskImages::name_of(std::size_t disk, unsigned attempt) const {
  const std::string stem = fmt::format("{}-disk{}", machine_, disk);
  return directory_ / (attempt == 1 ? stem + ".img" : fmt::format("{}-{}.img", stem, attempt));
}

}  // namespace tintype
