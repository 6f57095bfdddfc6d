// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "checkpoint/s3/location.h"
#include "checkpoint/store/operations.h"
#include "vmm/base/error.h"
#include "vmm/cli/launch.h"
#include "vmm/cli/output.h"
#include "vmm/cli/return_options.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/runtime_directory.h"
#include "vmm/machine/clones.h"
#include "vmm/machine/saved_state.h"

namespace tintype {

namespace {

class RestoreVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.repository(repository_);
    options.number("--id", id_, "Which checkpoint, by default the newest");
    given_.declare(options, "Where the restored disks go, by default the current directory");
    options.number("--clones", clones_, "So many machines side by side, in the background: NAME-1, NAME-2, ...");
    options.footer(
        "Exits as `tintype run` does.\n"
        "Clones share memory and disks of the checkpoint; what one of them writes no other sees, and what it writes "
        "to\n"
        "disks goes when it ends. With --serial file:PATH (or unix:PATH) each has its own: PATH-1, PATH-2, ...");
  }

  int run(Output& output) override {
    if (clones_) return run_clones(output);
    const RestoreOptions options = restore_options(output.json());
    const auto make = [&](const ProgressSink& progress) { return restore_machine(options, progress); };
    return given_.launch(options.name, "the restore was interrupted; nothing of it is left", make, output);
  }

 private:
  static constexpr std::uint64_t kMostClones = 1000;

  int run_clones(Output& output) {
    if (*clones_ == 0 || *clones_ > kMostClones) throw UsageError("--clones is 1 to {}", kMostClones);
    if (S3Location::is_meant_by(repository_.string())) {
      throw Error("clones share the files of a repository on this computer: `tintype copy {} DIR` makes one",
                  repository_.string());
    }
    if (given_.gdb) throw UsageError("clones cannot share the address of --gdb: restore one of them alone");
    given_.detach = true;
    const RestoreOptions options = restore_options(output.json());
    const CloneSource source(options, output.progress());
    output.end_progress();
    std::vector<Launch> launches;
    for (std::uint64_t number = 1; number <= *clones_; ++number) {
      const std::string name = fmt::format("{}-{}", options.name, number);
      check_machine_name(name);
      SerialConfig serial = options.serial;
      if (!serial.path.empty()) serial.path += fmt::format("-{}", number);
      launches.push_back(
          {name, true, [&source, name, serial](const Cancellation&) { return source.make(name, serial, {}); }});
    }
    return launch_side_by_side(launches, output);
  }

  RestoreOptions restore_options(bool json) const {
    RestoreOptions options;
    given_.check();
    refuse_saved_state(repository_);
    options.repository = repository_;
    const Manifest manifest = show_checkpoint(
        options.repository, id_);  // the very same checkpoint is restored, though a newer one may come now
    options.id = manifest.id;
    given_.fill(options, manifest.vm, json);
    return options;
  }

  std::filesystem::path repository_;
  std::optional<std::uint64_t> id_, clones_;
  ReturnOptions given_;
};

}  // namespace

std::unique_ptr<Verb> make_restore_verb() { return std::make_unique<RestoreVerb>(); }

}  // namespace tintype
