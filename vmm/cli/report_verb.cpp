// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <map>
#include <optional>

#include <nlohmann/json.hpp>

#include "checkpoint/store/sparse_file.h"
#include "vmm/base/error.h"
#include "vmm/cli/destination.h"
#include "vmm/cli/output.h"
#include "vmm/cli/report_page.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/status_json.h"

namespace tintype {

namespace {

namespace fs = std::filesystem;

class ReportVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.repository(repository_);
    options.text("-o,--output", "FILE", file_,
                 "Where the page goes, by default report.html in the current directory; - for stdout");
    options.number("--last", last_, "Only the newest N checkpoints");
    options.flag("--quick", quick_, "Without comparing neighbours, for which each checkpoint is read whole");
    options.flag("--verify", verify_, "Read and check every byte first, and show what that says");
  }

  int run(Output& output) override {
    if (file_ == "-") return print(output);
    const fs::path file = replaceable_name(absolute_path(file_.value_or("report.html"), "--output"));
    check_outside(repository_, file);
    check_may_be_replaced(file);
    const RepositoryFilm film = film_of_repository(output);
    write(file, report_page(film));
    output.line("{}: {}, {}.", file.string(), counted(film.checkpoints.size(), "checkpoint"),
                counted(film.diffs.size(), "comparison"));
    output.result({{"repository", path_to_json(repository_)},
                   {"file", path_to_json(file)},
                   {"checkpoints", film.checkpoints.size()},
                   {"comparisons", film.diffs.size()}});
    return 0;
  }

 private:
  int print(Output& output) const {
    if (output.json()) throw UsageError("with --json stdout is not for the page: give --output FILE");
    std::string page = report_page(film_of_repository(output));
    if (page.ends_with('\n')) page.pop_back();
    output.line("{}", page);
    return 0;
  }

  RepositoryFilm film_of_repository(Output& output) const {
    RepositoryFilm film;
    film.repository = repository_.string();
    film.made = utc_time_text();
    film.checkpoints = list_checkpoints(repository_);
    if (film.checkpoints.empty()) throw Error("{} holds no checkpoint to report on", repository_.string());
    keep_the_newest(film.checkpoints);
    if (verify_) film.verification = verify_checkpoints(repository_, std::nullopt, output.progress());
    if (!quick_) compare_neighbours(film, output.progress());
    output.end_progress();
    return film;
  }

  void keep_the_newest(std::vector<CheckpointSummary>& checkpoints) const {
    if (!last_ || *last_ >= checkpoints.size()) return;
    checkpoints.erase(checkpoints.begin(), checkpoints.end() - static_cast<std::ptrdiff_t>(*last_));
    if (checkpoints.empty()) throw UsageError("--last 0 leaves nothing to report on");
  }

  void compare_neighbours(RepositoryFilm& film, const ProgressSink& progress) const {
    std::map<std::string, std::uint64_t> before;  // the last one of each machine
    for (const CheckpointSummary& checkpoint : film.checkpoints) {
      if (!checkpoint.manifest || checkpoint.manifest->report.holds != Portion::kAll) continue;
      const auto [last, first_one] = before.try_emplace(checkpoint.manifest->vm, checkpoint.id);
      if (first_one) continue;
      try {
        film.diffs.push_back(diff_checkpoints(repository_, last->second, checkpoint.id, progress));
      } catch (const Error& why) {
        film.notes.push_back(fmt::format("{} and {} are not compared: {}", last->second, checkpoint.id, why.what()));
      }
      last->second = checkpoint.id;
    }
  }

  static void write(const fs::path& path, const std::string& page) {
    SparseFile file(path, page.size());
    file.write(0, std::as_bytes(std::span(page)));
    file.replace();
  }

  fs::path repository_;
  std::optional<std::string> file_;
  std::optional<std::uint64_t> last_;
  bool quick_ = false, verify_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_report_verb() { return std::make_unique<ReportVerb>(); }

}  // namespace tintype
