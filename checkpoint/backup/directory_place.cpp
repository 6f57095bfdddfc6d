// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/place.h"
#include "checkpoint/backup/prune.h"
#include "checkpoint/backup/transfer.h"
#include "checkpoint/store/repository.h"
#include "checkpoint/store/tidy.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

class DirectoryPlace final : public BackupPlace {
 public:
  DirectoryPlace(fs::path path, std::string vm) : path_(std::move(path)), vm_(std::move(vm)) { seen_ = is_there(); }

  const fs::path& repository() const noexcept override { return path_; }

  // A directory that was there before is on a device that is gone: what would be made in its place is not that device.
  void look() override {
    const bool there = is_there();
    if (seen_ && !there)
      throw Error("the repository {} is not there any more: bring back the device that it lies on", path_.string());
    seen_ = seen_ || there;
  }

  std::uint64_t bring(const fs::path& from, std::uint64_t id, const ProgressSink& progress) override {
    seen_ = true;
    std::error_code missing;
    if (from == path_ || fs::equivalent(from, path_, missing)) return id;
    const auto carried = copy_checkpoints(from, path_, id, progress);
    hide_those_between(carried, progress);
    return carried.back().id;
  }

  void prune(const std::optional<Retention>& keep, const ProgressSink& progress) override {
    if (!keep) return;
    PruneOptions options;
    options.retention = *keep;
    options.vm = vm_;
    tintype::prune(path_, options, progress);
  }

 private:
  /// A repository, and not the empty place where one was mounted.
  bool is_there() const {
    try {
      Repository::open(path_).require_repository();
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  /// What came along because the last one builds on it was not asked for here.
  void hide_those_between(const std::vector<Carried>& carried, const ProgressSink& progress) {
    Repository repository = Repository::open(path_);
    bool hidden = false;
    for (std::size_t i = 0; i + 1 < carried.size(); ++i) {
      if (carried[i].already || carried[i].base) continue;
      repository.remove(carried[i].id);
      hidden = true;
    }
    if (hidden) tidy_chains(path_, progress);
  }

  const fs::path path_;
  const std::string vm_;
  bool seen_ = false;  ///< it was there once
};

}  // namespace

std::unique_ptr<BackupPlace> make_directory_place(const fs::path& path, const std::string& vm) {
  return std::make_unique<DirectoryPlace>(path, vm);
}

}  // namespace tintype
