// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "vmm/base/error.h"
#include "vmm/cli/machine_call.h"
#include "vmm/cli/output.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"

namespace tintype {

using nlohmann::json;

namespace {

/// After the CPUs have stopped, the disks' logs are folded and synced: that may take a while on a slow disk.
constexpr auto kDisksCloseTime = std::chrono::minutes(5);

class StopVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.positional("NAME", name_, "The machine");
    options.flag("--force", force_, "End it without asking the guest to power off");
  }

  int run(Output& output) override {
    ControlClient client = connect_to_machine(name_);
    const json result = client.call("stop", {{"force", force_}}, kAnswerTime);
    if (!client.wait_for_end(kDisksCloseTime)) {
      throw Error(
          "{} has stopped, but its disks are still not closed after {} minutes: wait, and look for it with `tintype "
          "list`",
          name_, kDisksCloseTime.count());
    }
    output.line("{} has ended.", name_);
    output.result(result);
    return 0;
  }

 private:
  std::string name_;
  bool force_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_stop_verb() { return std::make_unique<StopVerb>(); }

}  // namespace tintype
