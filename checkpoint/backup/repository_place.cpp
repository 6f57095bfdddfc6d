// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/place.h"
#include "checkpoint/backup/prune.h"
#include "checkpoint/backup/transfer.h"
#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/store/tidy.h"
#include "vmm/base/error.h"
#include "vmm/base/same_file.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

class RepositoryPlace final : public BackupPlace {
 public:
  RepositoryPlace(fs::path path, std::string vm) : path_(std::move(path)), vm_(std::move(vm)) { seen_ = is_there(); }

  const fs::path& repository() const noexcept override { return path_; }

  void look() override {
    if (seen_) require_still_there(path_);
    seen_ = seen_ || is_there();
  }

  std::uint64_t bring(const fs::path& from, std::uint64_t id, const ProgressSink& progress) override {
    if (!is_same_file(from, path_)) id = copy_here(from, id, progress);
    seen_ = true;
    return id;
  }

  void prune(const std::optional<Retention>& keep, const ProgressSink& progress) override {
    if (!keep) return;
    PruneOptions options;
    options.retention = *keep;
    options.vm = vm_;
    tintype::prune(path_, options, progress);
  }

 private:
  bool is_there() const {
    try {
      require_still_there(path_);
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  std::uint64_t copy_here(const fs::path& from, std::uint64_t id, const ProgressSink& progress) {
    const auto carried = copy_checkpoints(from, path_, id, progress);
    hide_those_between(carried, progress);
    return carried.back().id;
  }

  /// What came along because the last one builds on it was not asked for here.
  void hide_those_between(const std::vector<Carried>& carried, const ProgressSink& progress) {
    std::vector<std::uint64_t> unasked;
    for (std::size_t i = 0; i + 1 < carried.size(); ++i)
      if (!carried[i].already && !carried[i].base) unasked.push_back(carried[i].id);
    if (unasked.empty()) return;
    const auto store = open_store(path_);
    store->remove_all(unasked);  // whoever ends the backups now does not leave them
    tidy_chains(*store, progress);
  }

  const fs::path path_;
  const std::string vm_;
  bool seen_ = false;  ///< it was there once
};

}  // namespace

std::unique_ptr<BackupPlace> make_repository_place(const fs::path& path, const std::string& vm) {
  return std::make_unique<RepositoryPlace>(path, vm);
}

}  // namespace tintype
