// SPDX-License-Identifier: Apache-2.0
// check_image(): goes on where opening the image would stop at the first thing that is wrong.
#include <algorithm>

#include "devices/block/image_tools.h"
#include "devices/block/log_owner.h"
#include "devices/block/log_scan.h"
#include "devices/block/recovery.h"
#include "vmm/base/error.h"

namespace tintype {

using log_format::StateKind;

namespace {

class ImageCheck {
 public:
  ImageCheck(const std::filesystem::path& image, const std::filesystem::path& log_directory, bool repair)
      : base_(RawFile::open(image, !repair)), log_directory_(log_directory), repair_(repair) {}

  std::vector<ImageDefect> run() {
    guarded(base_->path(), [this] {
      for (const LogPaths& paths : find_logs(*base_, log_directory_)) {
        guarded(paths.file, [&] { check_log(paths); });
      }
    });
    if (defects_.empty()) guarded(base_->path(), [this] { check_stack(); });
    return std::move(defects_);
  }

 private:
  template <typename Check>
  void guarded(const std::filesystem::path& file, Check check) {
    try {
      check();
    } catch (const std::exception& failure) {
      defects_.push_back({file, failure.what(), false});
    }
  }

  void check_log(const LogPaths& paths) {
    LogScan scan(paths.file, paths.link, true);
    if (!belongs(paths, scan.superblock(), scan.state(), *base_)) return;
    std::vector<std::string> wrong;
    scan.go_on_after(wrong);
    const auto log = scan.load();
    for (const std::string& what : wrong) defects_.push_back({paths.file, what, false});
    const bool is_void = log->state().kind == StateKind::kRetired || log->state().kind == StateKind::kDiscarded;
    if (wrong.empty() && !is_void) check_fits(*log, *base_);
  }

  /// Order, what is missing, and what was begun and not finished.
  void check_stack() {
    const FoundLogs found = find_stack(*base_, log_directory_, !repair_);
    for (const auto& log : found.retired) {
      defects_.push_back({log->path(),
                          "it is void (its updates are in the layer below, or were given up) and was not "
                          "deleted: --repair deletes it",
                          repair_});
    }
    const bool cut_short = std::any_of(found.current.begin(), found.current.end(),
                                       [](const auto& log) { return log->state().kind == StateKind::kCommitting; });
    if (cut_short) {
      defects_.push_back({base_->path(), "a commit of its redo logs was cut short: --repair finishes it", repair_});
      if (repair_) return commit_logs(found, *base_);
    }
    if (!repair_) return;
    for (const auto& log : found.retired) log->remove();
    if (found.current.empty()) base_->clear_mark();
  }

  const std::shared_ptr<RawFile> base_;
  const std::filesystem::path log_directory_;
  const bool repair_;
  std::vector<ImageDefect> defects_;
};

}  // namespace

std::vector<ImageDefect> check_image(const std::filesystem::path& image, const std::filesystem::path& log_directory,
                                     bool repair) {
  return ImageCheck(image, log_directory, repair).run();
}

}  // namespace tintype
