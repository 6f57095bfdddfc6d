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
      : base_(RawFile::open(image, !repair)), log_directory_(log_directory), repair_(repair) {
    if (repair) check_suspended(*base_, {});
  }

  std::vector<ImageDefect> run() {
    guarded(base_->path(), [this] {
      ++unreadable_;  // unless they are found
      const auto logs = find_logs(*base_, log_directory_);
      --unreadable_;
      for (const LogPaths& paths : logs) guarded(paths.file, [&] { check_log(paths); });
    });
    if (unreadable_ == 0) check_gaps();
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
    std::vector<std::string> wrong;
    const auto log = load(paths, wrong);
    if (log == nullptr) return;
    for (const std::string& what : wrong) defects_.push_back({paths.file, what, false});
    const bool is_void = log->state().kind == StateKind::kRetired || log->state().kind == StateKind::kDiscarded;
    (log->state().kind == StateKind::kRetired ? found_.retired : found_.current).push_back(log);
    if (wrong.empty() && !is_void) check_fits(*log, *base_);
  }

  std::shared_ptr<RedoLog> load(const LogPaths& paths, std::vector<std::string>& wrong) {
    ++unreadable_;
    LogScan scan(paths.file, paths.link, true, &wrong);
    --unreadable_;
    return belongs(paths, scan.superblock(), scan.state(), *base_) ? scan.load() : nullptr;
  }

  /// Not where a log cannot tell its number, which may be the one that is missed.
  void check_gaps() {
    put_in_order(found_);
    for (const std::string& gap : gaps_in(found_, *base_)) defects_.push_back({base_->path(), gap, false});
  }

  /// What the user began and was not finished. (What a killed machine leaves is no defect.)
  void check_stack() {
    const FoundLogs found = find_stack(*base_, log_directory_, !repair_);
    const auto any = [](const auto& logs, StateKind kind, bool kept) {
      return std::any_of(logs.begin(), logs.end(), [&](const auto& log) {
        const bool is_kept = log->superblock().purpose == log_format::Purpose::kKeep;
        return log->state().kind == kind && is_kept == kept;
      });
    };
    if (any(found.retired, StateKind::kDiscarded, true)) cut_short("discarding");
    if (any(found.current, StateKind::kCommitting, true)) {
      cut_short("committing");
      if (repair_) return commit_logs(found, *base_);
    }
    if (repair_) delete_void_logs(found, base_);
  }

  void cut_short(std::string_view what) {
    defects_.push_back(
        {base_->path(), fmt::format("{} its updates was cut short: --repair finishes it", what), repair_});
  }

  const std::shared_ptr<RawFile> base_;
  const std::filesystem::path log_directory_;
  const bool repair_;
  FoundLogs found_;
  std::size_t unreadable_ = 0;  ///< logs whose header is damaged
  std::vector<ImageDefect> defects_;
};

}  // namespace

std::vector<ImageDefect> check_image(const std::filesystem::path& image, const std::filesystem::path& log_directory,
                                     bool repair) {
  return ImageCheck(image, log_directory, repair).run();
}

}  // namespace tintype
