// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/return_options.h"

#include "vmm/base/error.h"
#include "vmm/cli/launch.h"
#include "vmm/cli/output.h"
#include "vmm/cli/run_options.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/runtime_directory.h"

namespace tintype {

void ReturnOptions::declare(VerbOptions& options, const char* disk_directory_help) {
  options.text("--name", "NAME", name, "Name of the machine, by default the one it had");
  options.text("--memory-load", "WORD", memory_load,
               "When memory is read: lazy (while the machine runs; the default where the host can), or eager");
  options.words(offered_words<MemoryLoad>());
  options.path("--disk-dir", "DIR", disk_directory, disk_directory_help);
  options.text("--serial", "WHERE", serial, "COM1: stdio, null, file:PATH or unix:PATH");
  options.words(kSerialWords);
  options.flag("--detach", detach, "Return when the machine runs, and leave it running");
  options.flag("--fail-on-reset", fail_on_reset, "Exit with 1 where the guest resets itself");
  options.text("--on-panic", "WHAT", on_panic,
               "Where the guest's kernel panics: exit (with 1, the default), pause, or checkpoint=REPO and exit");
  options.words(kPanicWords);
  options.text("--gdb", "ADDR[,wait]", gdb,
               "Let gdb come: a port of this computer (0: any), or unix:PATH; with ,wait nothing runs before it has");
  options.list("--trace", "WHAT", trace, trace_help());
  options.words(offered_words<TraceKind>());
}

std::optional<MemoryLoad> ReturnOptions::chosen_memory_load() const {
  if (!memory_load) return std::nullopt;
  return chosen_value<MemoryLoad>(*memory_load, "--memory-load");
}

SerialConfig ReturnOptions::chosen_serial(bool json) const { return serial_config(serial, detach, json); }

TraceConfig ReturnOptions::chosen_trace() const { return parse_trace(trace); }

FailurePolicy ReturnOptions::chosen_on_failure() const {
  FailurePolicy policy;
  policy.fail_on_reset = fail_on_reset;
  if (on_panic) parse_on_panic(*on_panic, policy);
  return policy;
}

GdbOption ReturnOptions::chosen_gdb() const { return gdb ? parse_gdb(*gdb) : GdbOption{}; }

std::string ReturnOptions::checked_name(const std::string& name_then) const {
  const std::string chosen = name.value_or(name_then);
  check_machine_name(chosen);
  return chosen;
}

int ReturnOptions::launch(const std::string& machine, const char* interrupted,
                          const std::function<std::unique_ptr<Machine>(const ProgressSink&)>& make,
                          Output& output) const {
  const auto make_cancellably = [&](const Cancellation& cancelled) {
    const ProgressSink sink = detach ? ProgressSink() : output.progress();
    auto made = make([&](const Progress& progress) {
      if (cancelled.requested()) throw Cancelled(interrupted);
      if (sink) sink(progress);
    });
    output.end_progress();
    return made;
  };
  return tintype::launch({machine, detach, make_cancellably, {}, chosen_gdb()}, output);
}

}  // namespace tintype
