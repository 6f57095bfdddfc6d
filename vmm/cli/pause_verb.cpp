// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "vmm/cli/machine_call.h"
#include "vmm/cli/output.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"

namespace tintype {

using nlohmann::json;

namespace {

/// `pause` and `continue`: a method without parameters.
class PauseVerb final : public Verb {
 public:
  explicit PauseVerb(const char* method) : method_(method) {}

  void declare(VerbOptions& options) override { options.positional("NAME", name_, "The machine"); }

  int run(Output& output) override {
    const json result = call_machine(name_, method_, json::object());
    output.line("{} is {}.", name_, result.value("state", ""));
    output.result(result);
    return 0;
  }

 private:
  const char* method_;
  std::string name_;
};

}  // namespace

std::unique_ptr<Verb> make_pause_verb() { return std::make_unique<PauseVerb>("pause"); }
std::unique_ptr<Verb> make_continue_verb() { return std::make_unique<PauseVerb>("continue"); }

}  // namespace tintype
