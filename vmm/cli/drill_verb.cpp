// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "checkpoint/capture/cancellation.h"
#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/store/operations.h"
#include "vmm/base/error.h"
#include "vmm/base/printable.h"
#include "vmm/cli/output.h"
#include "vmm/cli/stop_signals.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/status_json.h"
#include "vmm/machine/drill.h"

namespace tintype {

using nlohmann::json;

namespace {

constexpr std::uint64_t kLargestExitCode = 255;

class DrillVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.repository(repository_);
    options.number("--id", id_, "Which checkpoint, by default the newest");
    options.text("--expect", "TEXT", expect_, "It lives when it prints this");
    options.number("--expect-exit", expect_exit_, "It lives when it ends with this exit code, as `tintype run` would");
    options.value(
        "--within", "TIME", [this](const std::string& text) { set_within(text); },
        "How long it is waited for, by default 30s", false);
    options.footer(
        "Without --expect it lives when its clock ticks and it does not crash. It is restored in a directory of its\n"
        "own below $TMPDIR or /var/tmp, which needs room for its disks; nothing that it does is seen elsewhere. The\n"
        "result is kept beside the checkpoint, and `tintype show` has it.");
  }

  int run(Output& output) override {
    if (expect_exit_.value_or(0) > kLargestExitCode) throw UsageError("--expect-exit is 0 to {}", kLargestExitCode);
    const StopSignals signals;
    Cancellation cancelled;
    const StopWatch watch(signals, [&cancelled](const StopRequest&) { cancelled.request(); });
    options_.meanwhile = [&cancelled] {
      if (cancelled.requested()) throw Cancelled("the drill was interrupted; nothing of it is left");
    };
    options_.repository = repository_;
    options_.id = show_checkpoint(repository_, id_).id;
    options_.expect = expect_.value_or("");
    if (expect_exit_) options_.expect_exit = static_cast<int>(*expect_exit_);
    const DrillResult result = drill(output);
    output.end_progress();
    open_store(repository_)->note(options_.id, Check::kDrilled, check_note(result.lives, result.said));
    json object = {{"repository", path_to_json(repository_)},
                   {"id", options_.id},
                   {"lives", result.lives},
                   {"said", result.said},
                   {"ran_ms", result.ran_ms},
                   {"interrupts", result.interrupts ? json(*result.interrupts) : json(nullptr)},
                   {"console", printable(result.console)}};
    const std::string failure = fmt::format("Checkpoint {} does not live: {}", options_.id, result.said);
    if (!result.lives) object["error"] = failure;
    output.result(object);
    if (!result.lives) {
      output.error(failure);
      return 1;
    }
    output.line("Checkpoint {} lives: {}.", options_.id, result.said);
    return 0;
  }

 private:
  /// Nothing lives that is not waited for, and its checkpoint would be said to be bad.
  void set_within(const std::string& text) {
    options_.within = std::chrono::milliseconds(parse_time(text, "--within"));
    if (options_.within.count() == 0) throw UsageError("--within is at least 1ms: it takes some time to live");
  }

  /// What cannot be restored does not live; but what this computer lacks is not the checkpoint's fault.
  DrillResult drill(Output& output) const {
    try {
      return drill_checkpoint(options_, output.progress());
    } catch (const ImageError& damage) {
      return {false, damage.what(), 0, {}, {}};
    }
  }

  std::filesystem::path repository_;
  std::optional<std::uint64_t> id_, expect_exit_;
  std::optional<std::string> expect_;
  DrillOptions options_;
};

}  // namespace

std::unique_ptr<Verb> make_drill_verb() { return std::make_unique<DrillVerb>(); }

}  // namespace tintype
