// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "checkpoint/store/operations.h"
#include "vmm/cli/output.h"
#include "vmm/cli/return_options.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/machine/saved_state.h"

namespace tintype {

namespace {

class ResumeVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.positional("DIR", directory_, "NAME.suspended, as `tintype suspend` said, or the directory that it is in");
    given_.declare(options, "Where redo logs go, by default beside each image");
    options.footer("What was saved is removed when the machine runs. Exits as `tintype run` does.");
  }

  int run(Output& output) override {
    ResumeOptions options;
    const std::filesystem::path given = absolute_path(directory_, "DIR");
    given_.check();
    options.directory = find_saved_state(given);
    given_.fill(options, show_checkpoint(options.directory, std::nullopt).vm, output.json());
    const auto make = [&](const ProgressSink& progress) { return resume_machine(options, progress); };
    return given_.launch(options.name, "the resume was interrupted: the machine is suspended still", make, output);
  }

 private:
  std::string directory_;
  ReturnOptions given_;
};

}  // namespace

std::unique_ptr<Verb> make_resume_verb() { return std::make_unique<ResumeVerb>(); }

}  // namespace tintype
