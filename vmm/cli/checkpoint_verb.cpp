// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include <nlohmann/json.hpp>

#include "checkpoint/image/manifest.h"
#include "vmm/base/error.h"
#include "vmm/cli/machine_call.h"
#include "vmm/cli/output.h"
#include "vmm/cli/report_text.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/names.h"

namespace tintype {

using nlohmann::json;

namespace {

/// A machine that takes a checkpoint reports progress all the time, but for one fsync of everything at the end.
constexpr auto kLongestSilence = std::chrono::minutes(15);

class CheckpointVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.positional("NAME", name_, "The machine");
    options.required_text("--to", "REPO", repository_, "Directory of checkpoints, created where missing");
    options.text("--strategy", "WORD", strategy_, "auto, stop, precopy, cow, fork or hybrid");
    options.flag("--full", full_, "Hold everything, even where a parent would do");
    options.text("--compress", "WORD", compression_, "none, lz4 or zstd");
    options.size("--capture-area", capture_area_, "Memory for pages that the guest changes meanwhile");
    options.footer("The machine does the work: it goes on where this command is interrupted.");
  }

  int run(Output& output) override {
    const json options = params();
    const json report = connect_to_machine(name_).call("checkpoint", options, kLongestSilence, output.progress());
    output.end_progress();
    if (!output.json()) output.line("{}", report_text(report_from_json(report.dump())));
    output.result(report);
    return 0;
  }

 private:
  json params() const {
    if (repository_.empty()) throw UsageError("--to needs the name of a directory");
    return {{"repository", std::filesystem::absolute(repository_).lexically_normal().string()},
            {"strategy", name_of(strategy_from_text(strategy_.value_or("auto"), "--strategy"))},
            {"full", full_},
            {"compression", name_of(compression_from_text(compression_.value_or("none"), "--compress"))},
            {"capture_area", capture_area_.value_or(0)}};
  }

  std::string name_, repository_;
  std::optional<std::string> strategy_, compression_;
  std::optional<std::uint64_t> capture_area_;
  bool full_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_checkpoint_verb() { return std::make_unique<CheckpointVerb>(); }

}  // namespace tintype
