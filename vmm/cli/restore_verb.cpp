// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "checkpoint/store/operations.h"
#include "vmm/cli/output.h"
#include "vmm/cli/return_options.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"

namespace tintype {

namespace {

class RestoreVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.repository(repository_);
    options.number("--id", id_, "Which checkpoint, by default the newest");
    given_.declare(options, "Where the restored disks go, by default the current directory");
    options.footer("Exits as `tintype run` does.");
  }

  int run(Output& output) override {
    const RestoreOptions options = restore_options(output.json());
    const auto make = [&](const ProgressSink& progress) { return restore_machine(options, progress); };
    return given_.launch(options.name, "restore", make, output);
  }

 private:
  RestoreOptions restore_options(bool json) const {
    RestoreOptions options;
    given_.check();
    options.repository = repository_;
    const Manifest manifest = show_checkpoint(
        options.repository, id_);  // the very same checkpoint is restored, though a newer one may come now
    options.id = manifest.id;
    given_.fill(options, manifest.vm, json);
    return options;
  }

  std::filesystem::path repository_;
  std::optional<std::uint64_t> id_;
  ReturnOptions given_;
};

}  // namespace

std::unique_ptr<Verb> make_restore_verb() { return std::make_unique<RestoreVerb>(); }

}  // namespace tintype
