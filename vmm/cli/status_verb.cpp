// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "vmm/cli/machine_call.h"
#include "vmm/cli/output.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"

namespace tintype {

using nlohmann::json;

namespace {

void print_status(const json& status, Output& output) {
  const auto number = [&](const char* key) { return status.value(key, std::uint64_t{0}); };
  const bool checkpoint = status.value("checkpoint_running", false);
  output.line("{:<14} {}", "name", status.value("name", ""));
  output.line("{:<14} {}{}", "state", status.value("state", ""), checkpoint ? ", a checkpoint is being taken" : "");
  output.line("{:<14} {}", "process", status.value("pid", 0));
  output.line("{:<14} {}", "runs for", duration_text(number("uptime_ms")));
  output.line("{:<14} {}", "memory", format_size(number("memory")));
  output.line("{:<14} {}", "CPUs", number("cpus"));
  output.line("{:<14} {}", "exits", number("exits"));
  output.line("{:<14} {}", "kernel", status.value("kernel", ""));
  output.line("{:<14} {}", "serial", status.value("serial", ""));
  if (status.contains("restored_from") && status["restored_from"].is_number())
    output.line("{:<14} checkpoint {}", "restored from", number("restored_from"));
  for (const json& disk : status.value("disks", json::array())) {
    output.line("{:<14} {} ({}{})", disk.value("id", ""), disk.value("image", ""), disk.value("mode", ""),
                disk.value("read_only", false) ? ", read-only" : "");
  }
}

class StatusVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override { options.positional("NAME", name_, "The machine"); }

  int run(Output& output) override {
    const json status = call_machine(name_, "status", json::object());
    print_status(status, output);
    output.result(status);
    return 0;
  }

 private:
  std::string name_;
};

}  // namespace

std::unique_ptr<Verb> make_status_verb() { return std::make_unique<StatusVerb>(); }

}  // namespace tintype
