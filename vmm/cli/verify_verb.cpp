// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "checkpoint/store/operations.h"
#include "checkpoint/store/verify.h"
#include "vmm/cli/output.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/status_json.h"

namespace tintype {

using nlohmann::json;

namespace {

json verification_json(const std::filesystem::path& repository, const Verification& verification) {
  json damages = json::array();
  for (const Damage& damage : verification.damages)
    damages.push_back({{"id", damage.id}, {"part", damage.part}, {"reason", damage.reason}});
  return {{"repository", path_to_json(repository)},
          {"good", verification.good()},
          {"checkpoints", verification.checkpoints},
          {"bases", verification.bases},
          {"bytes", verification.bytes},
          {"damages", damages}};
}

/// One sentence that names what is damaged: the first of it, and how much more there is.
std::string damage_sentence(const Verification& verification) {
  const Damage& first = verification.damages.front();
  const std::size_t more = verification.damages.size() - 1;
  const std::string rest = more == 0 ? "" : fmt::format(" (and {} more)", more);
  return fmt::format("Checkpoint {} is damaged in {}{}: {}", first.id, first.part, rest, first.reason);
}

class VerifyVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.repository(repository_);
    options.number("--id", id_, "Only this checkpoint, by default all");
  }

  int run(Output& output) override {
    const Verification verification = verify_checkpoints(repository_, id_, output.progress());
    output.end_progress();
    note_verification(repository_, id_, verification);
    output.result(verification_json(repository_, verification));
    for (const Damage& damage : verification.damages)
      output.line("{:>8}  {:<16} {}", damage.id, damage.part, damage.reason);
    if (!verification.good()) {
      output.error(damage_sentence(verification));
      return 1;
    }
    if (verification.checkpoints == 0) {
      output.line("There is no checkpoint in {}: nothing to verify, and nothing wrong.", repository_.string());
    } else {
      const std::string bases =
          verification.bases == 0 ? "" : fmt::format(" and {} deleted that they build on", verification.bases);
      output.line("{}{}, {}: every byte is as it was written.", counted(verification.checkpoints, "checkpoint"), bases,
                  format_size(verification.bytes));
    }
    return 0;
  }

 private:
  std::filesystem::path repository_;
  std::optional<std::uint64_t> id_;
};

}  // namespace

std::unique_ptr<Verb> make_verify_verb() { return std::make_unique<VerifyVerb>(); }

}  // namespace tintype
