// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "checkpoint/store/operations.h"
#include "vmm/base/error.h"
#include "vmm/cli/launch.h"
#include "vmm/cli/output.h"
#include "vmm/cli/run_options.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/runtime_directory.h"

namespace tintype {

namespace {

/// Ends the restore where it is told of progress after a signal.
ProgressSink cancellable(ProgressSink sink, const Cancellation& cancelled) {
  return [sink = std::move(sink), &cancelled](const Progress& progress) {
    if (cancelled.requested()) throw Cancelled("the restore was interrupted; nothing of it is left");
    if (sink) sink(progress);
  };
}

class RestoreVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.repository(repository_);
    options.number("--id", id_, "Which checkpoint, by default the newest");
    options.text("--name", "NAME", name_, "Name of the restored machine, by default the one it had");
    options.text("--memory-load", "WORD", memory_load_,
                 "When memory is read: lazy (while the machine runs; the default where the host can), or eager");
    options.path("--disk-dir", "DIR", disk_directory_, "Where the restored disks go, by default the current directory");
    options.text("--serial", "WHERE", serial_, "COM1: stdio, null, file:PATH or unix:PATH");
    options.flag("--detach", detach_, "Return when the machine runs, and leave it running");
    options.flag("--fail-on-reset", fail_on_reset_, "Exit with 1 where the guest resets itself");
    options.list("--trace", "WHAT", trace_, "Print each of: exits, mmio, pio");
    options.footer("Exits as `tintype run` does.");
  }

  int run(Output& output) override {
    const RestoreOptions options = restore_options(output.json());
    const auto make = [&](const Cancellation& cancelled) {
      auto machine = restore_machine(options, cancellable(detach_ ? ProgressSink() : output.progress(), cancelled));
      output.end_progress();
      return machine;
    };
    return launch({options.name, detach_, fail_on_reset_, {}, make}, output);
  }

 private:
  RestoreOptions restore_options(bool json) const {
    RestoreOptions options;
    if (memory_load_) options.memory_load = chosen_value<MemoryLoad>(*memory_load_, "--memory-load");
    options.serial = serial_config(serial_, detach_, json);
    options.trace = parse_trace(trace_);
    options.repository = repository_;
    options.disk_directory = disk_directory_.value_or("");
    const Manifest manifest = show_checkpoint(
        options.repository, id_);  // the very same checkpoint is restored, though a newer one may come now
    options.id = manifest.id;
    options.name = name_.value_or(manifest.vm);
    check_machine_name(options.name);
    return options;
  }

  std::filesystem::path repository_;
  std::optional<std::uint64_t> id_;
  std::optional<std::filesystem::path> disk_directory_;
  std::optional<std::string> name_, memory_load_, serial_;
  std::vector<std::string> trace_;
  bool detach_ = false, fail_on_reset_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_restore_verb() { return std::make_unique<RestoreVerb>(); }

}  // namespace tintype
