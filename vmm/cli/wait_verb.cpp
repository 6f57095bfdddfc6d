// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <optional>

#include <nlohmann/json.hpp>

#include "checkpoint/format/manifest.h"
#include "vmm/base/error.h"
#include "vmm/cli/console_feed.h"
#include "vmm/cli/machine_call.h"
#include "vmm/cli/output.h"
#include "vmm/cli/report_text.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"

namespace tintype {

using nlohmann::json;

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kConsole = "console=";

/// How long the rest of a wait may last.
class Deadline {
 public:
  void set(std::uint64_t ms) { end_ = Clock::now() + std::chrono::milliseconds(ms); }
  std::chrono::milliseconds left() const {
    constexpr std::chrono::milliseconds kStep = std::chrono::hours(1);
    if (!end_) return kStep;
    return std::clamp(std::chrono::ceil<std::chrono::milliseconds>(*end_ - Clock::now()), std::chrono::milliseconds(0),
                      kStep);
  }
  bool passed() const { return end_ && Clock::now() >= *end_; }

 private:
  std::optional<Clock::time_point> end_;
};

class WaitVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.positional("NAME", name_, "The machine");
    options.value(
        "--for", "WHAT", [this](const std::string& text) { set_goal(text); },
        "exit (the default), checkpoint (the next one that is sealed), or console=TEXT (printed by the guest, now or "
        "before)",
        false);
    options.words("exit, checkpoint, console=");
    options.value(
        "--within", "TIME", [this](const std::string& text) { deadline_.set(parse_time(text, "--within")); },
        "Give up after that, with exit status 1", false);
    options.footer(
        "Exits with 0 when it has come, whatever the guest's own exit status was (with --json it is \"exit_code\"),\n"
        "and with 1 where the machine ended without it.");
  }

  int run(Output& output) override {
    if (goal_ == Goal::kConsole) return wait_for_console(output);
    const auto record = find_orderly_end(name_);
    if (record && goal_ == Goal::kExit) return tell_end(record->reason, record->exit_code, output);
    return wait_for_event(output);
  }

 private:
  enum class Goal : std::uint8_t { kExit, kCheckpoint, kConsole };

  void set_goal(const std::string& text) {
    if (text == "exit") {
      goal_ = Goal::kExit;
    } else if (text == "checkpoint") {
      goal_ = Goal::kCheckpoint;
    } else if (text.starts_with(kConsole) && text.size() > kConsole.size()) {
      goal_ = Goal::kConsole;
      wanted_ = text.substr(kConsole.size());
    } else {
      throw UsageError("--for cannot be \"{}\": choose one of exit, checkpoint and console=TEXT", text);
    }
  }

  int wait_for_event(Output& output) {
    ControlClient machine = connect_to_machine(name_);
    machine.follow("events", json::object());
    std::optional<json> end;
    while (!machine.hung_up()) {
      if (deadline_.passed()) give_up();
      const auto event = machine.next(deadline_.left());
      if (!event) continue;
      const std::string kind = event->value("event", "");
      if (kind == "checkpoint" && goal_ == Goal::kCheckpoint) return tell_checkpoint((*event)["checkpoint"], output);
      if (kind == "ended") end = event;  // its disks are closed; when it has hung up its name is free too
    }
    if (goal_ == Goal::kCheckpoint) throw Error("{} ended before a checkpoint of it was sealed", name_);
    if (const auto record = end ? std::nullopt : find_end_record(name_)) throw MachineEnded(*record);
    if (!end) throw Error("{} is gone, and has not said how it ended: was its process killed?", name_);
    return tell_end(end->value("reason", ""), end->value("exit_code", 0U), output);
  }

  int wait_for_console(Output& output) {
    if (find_orderly_end(name_)) {
      if (!look_for_it(find_kept_console(name_))) throw ended_without_it();
      return tell_found(output);
    }
    ConsoleReader console(connect_to_machine(name_), kAllOfThePast);
    for (;;) {
      const auto piece = console.next(deadline_.left());
      if (piece && look_for_it(*piece)) return tell_found(output);
      if (!piece && console.ended()) throw ended_without_it();
      if (deadline_.passed()) give_up();
    }
  }

  /// In what came before and in this, without what can no longer be part of it.
  bool look_for_it(const std::string& piece) {
    seen_ += piece;
    if (seen_.find(wanted_) != seen_.npos) return true;
    if (seen_.size() >= wanted_.size()) seen_.erase(0, seen_.size() - wanted_.size() + 1);
    return false;
  }

  [[noreturn]] void give_up() const { throw Error("{}: the time of --within is over, and it has not come", name_); }
  Error ended_without_it() const { return Error("{} ended without having printed \"{}\"", name_, wanted_); }

  int tell_end(const std::string& reason, std::uint32_t code, Output& output) const {
    output.line("{} has ended: {} (exit status {}).", name_, reason, code);
    output.result({{"name", name_}, {"reason", reason}, {"exit_code", code}});
    return 0;
  }
  int tell_checkpoint(const json& report, Output& output) const {
    output.line("{}", report_text(report_from_json(report.dump())));
    output.result({{"name", name_}, {"checkpoint", report}});
    return 0;
  }
  int tell_found(Output& output) const {
    output.line("{} has printed \"{}\".", name_, wanted_);
    output.result({{"name", name_}, {"console", path_to_json(wanted_)}});
    return 0;
  }

  std::string name_, wanted_, seen_;
  Goal goal_ = Goal::kExit;
  Deadline deadline_;
};

}  // namespace

std::unique_ptr<Verb> make_wait_verb() { return std::make_unique<WaitVerb>(); }

}  // namespace tintype
