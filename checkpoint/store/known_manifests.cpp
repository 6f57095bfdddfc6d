// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/known_manifests.h"

#include <sys/stat.h>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/store/open_checkpoint.h"

namespace tintype {
namespace {

/// More than any chain has links; a repository that holds more is read anew now and then.
constexpr std::size_t kMost = 1024;

std::int64_t nanoseconds(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

}  // namespace

std::shared_ptr<const Manifest> KnownManifests::read(const std::filesystem::path& directory, std::uint64_t id) {
  const Stamp stamp = stamp_of(directory / checkpoint_files::kManifest);
  {
    const std::lock_guard lock(mutex_);
    const auto found = known_.find(directory);
    if (found != known_.end() && found->second.stamp == stamp && found->second.manifest->id == id)
      return found->second.manifest;
  }
  auto manifest = std::make_shared<const Manifest>(read_manifest(directory, id));
  const std::lock_guard lock(mutex_);
  if (known_.size() >= kMost) known_.clear();
  known_[directory] = {stamp, manifest, false};
  return manifest;
}

void KnownManifests::note_whole(const std::filesystem::path& directory) {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(directory);
  if (found != known_.end()) found->second.whole = true;
}

bool KnownManifests::is_whole(const std::filesystem::path& directory) const {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(directory);
  return found != known_.end() && found->second.whole;
}

/// Of a file that is not there: like no other.
KnownManifests::Stamp KnownManifests::stamp_of(const std::filesystem::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return {};
  return {info.st_dev, info.st_ino, info.st_size, nanoseconds(info.st_mtim), nanoseconds(info.st_ctim)};
}

}  // namespace tintype
