// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "vmm/base/error.h"
#include "vmm/cli/inspect.h"
#include "vmm/cli/machine_call.h"
#include "vmm/cli/output.h"
#include "vmm/cli/result_text.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"

namespace tintype {

using nlohmann::json;

namespace {

/// How a machine does; and what is in it, where it is paused.
class StatusVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.positional("NAME", name_, "The machine");
    inspect_.declare(options, "while it is paused");
  }

  int run(Output& output) override {
    const json wish = inspect_.parameters();
    try {
      ControlClient machine = connect_to_machine(name_);
      inspect_.any() ? look(machine, wish, output) : tell(machine, output);
      return 0;
    } catch (const MachineEnded& ended) {
      output.result(ended.result());
      throw;
    }
  }

 private:
  static void tell(ControlClient& machine, Output& output) {
    const json status = machine.call("status", json::object(), kAnswerTime);
    output.line("{}", result_text("status", status));
    output.result(status);
  }

  static void look(ControlClient& machine, json wish, Output& output) {
    wish["text"] = !output.json();
    const json seen = machine.call("look", wish, kAnswerTime);
    output.line("{}", seen.value("text", ""));
    output.result(seen);
  }

  std::string name_;
  InspectOptions inspect_;
};

}  // namespace

std::unique_ptr<Verb> make_status_verb() { return std::make_unique<StatusVerb>(); }

}  // namespace tintype
