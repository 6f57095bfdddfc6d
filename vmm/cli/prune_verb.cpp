// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "checkpoint/backup/prune.h"
#include "vmm/cli/output.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/status_json.h"

namespace tintype {

using nlohmann::json;

namespace {

class PruneVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.repository(repository_);
    options.value(
        "--keep", "RULE", [this](const std::string& text) { options_.retention = parse_retention(text, "--keep"); },
        "What stays: last=5,hourly=24,daily=7,weekly=4,monthly=12,yearly=3, or some of it, or within=30d. The newest "
        "of each of so many hours, days... (UTC) in which there is one; and all that are at most so much older than "
        "the newest",
        true);
    options.text("--vm", "NAME", vm_, "Only checkpoints of this machine, by default of each by itself");
    options.flag("--dry-run", options_.dry_run, "Say what would go, and change nothing");
  }

  int run(Output& output) override {
    options_.vm = vm_.value_or("");
    options_.tidies_always = true;
    const Pruning pruning = prune(repository_, options_, output.progress());
    output.end_progress();
    for (const Pruned& checkpoint : pruning.checkpoints) print(checkpoint, output);
    for (const std::uint64_t id : pruning.unreadable)
      output.line("{:>8}  cannot be read, and stays: tintype verify says why", id);
    for (const std::string& problem : pruning.problems) output.line("left over: {}", problem);
    output.result(as_json(pruning));
    return 0;
  }

 private:
  void print(const Pruned& checkpoint, Output& output) const {
    const std::string fate = checkpoint.because.empty() ? (options_.dry_run ? "would go" : "deleted")
                                                        : fmt::format("stays: {}", fmt::join(checkpoint.because, ", "));
    output.line("{:>8}  {:<20}  {:<16} {}{}", checkpoint.id, checkpoint.time, checkpoint.vm, fate,
                checkpoint.damaged ? "; BAD, and takes nobody's place" : "");
  }

  json as_json(const Pruning& pruning) const {
    json kept = json::array(), deleted = json::array();
    for (const Pruned& each : pruning.checkpoints) {
      if (each.because.empty())
        deleted.push_back(each.id);
      else
        kept.push_back({{"id", each.id},
                        {"vm", each.vm},
                        {"time", each.time},
                        {"because", each.because},
                        {"damaged", each.damaged}});
    }
    return {{"repository", path_to_json(repository_)},
            {"keep", text_of(options_.retention)},
            {"dry_run", options_.dry_run},
            {"kept", kept},
            {"deleted", deleted},
            {"unreadable", pruning.unreadable},
            {"merged", pruning.merged},
            {"problems", pruning.problems}};
  }

  std::filesystem::path repository_;
  std::optional<std::string> vm_;
  PruneOptions options_;
};

}  // namespace

std::unique_ptr<Verb> make_prune_verb() { return std::make_unique<PruneVerb>(); }

}  // namespace tintype
