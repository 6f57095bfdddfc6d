// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "checkpoint/store/operations.h"
#include "vmm/cli/output.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/status_json.h"
#include "vmm/machine/saved_state.h"

namespace tintype {

namespace {

class DeleteVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.repository(repository_);
    options.required_number("--id", id_, "Which checkpoint");
  }

  int run(Output& output) override {
    refuse_saved_state(repository_);
    const Deletion deletion = delete_checkpoint(repository_, id_, output.progress());
    output.end_progress();
    output.line("Checkpoint {} is deleted{}.", id_,
                deletion.kept_as_base ? "; what others need of it stays until they need it no more" : "");
    output.result({{"repository", path_to_json(repository_)},
                   {"id", id_},
                   {"deleted", true},
                   {"kept_as_base", deletion.kept_as_base},
                   {"gone", deletion.gone},
                   {"merged", deletion.merged}});
    return 0;
  }

 private:
  std::filesystem::path repository_;
  std::uint64_t id_ = 0;
};

}  // namespace

std::unique_ptr<Verb> make_delete_verb() { return std::make_unique<DeleteVerb>(); }

}  // namespace tintype
