// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include <cerrno>

#include <nlohmann/json.hpp>

#include "checkpoint/s3/location.h"
#include "vmm/base/error.h"
#include "vmm/cli/machine_call.h"
#include "vmm/cli/output.h"
#include "vmm/cli/result_text.h"
#include "vmm/cli/stop_signals.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/methods.h"
#include "vmm/control/status_json.h"

namespace tintype {

using nlohmann::json;

namespace {

/// A machine that works long reports progress all the time, but for one fsync of everything at the end.
constexpr auto kLongestSilence = std::chrono::minutes(15);
/// After the CPUs have stopped, the disks' logs are committed and synced: that may take a while on a slow disk.
constexpr std::chrono::seconds kDisksCloseTime = std::chrono::minutes(5);
/// Who forces it has no patience with a disk that does not answer.
constexpr std::chrono::seconds kForcedCloseTime(30);
/// Longer than a process that works keeps anybody waiting, on a busy host.
constexpr std::chrono::seconds kForcedAnswerTime(5);
constexpr const char* kKilled = "it did not answer, and was killed: its disks have what was flushed to them";

json value_from_text(const Parameter& parameter, const std::string& text) {
  const char* option = parameter.option.option;
  switch (parameter.kind) {
    case ParameterKind::kFlag:
      return true;
    case ParameterKind::kNumber:
      return parse_number(text, option);
    case ParameterKind::kSize:
      return parse_size(text, option);
    case ParameterKind::kTime:
      return parse_time(text, option);
    case ParameterKind::kWord:
      parameter.check_word(text, option);
      return text;
    case ParameterKind::kDirectory:
      return path_to_json(absolute_path(text, option));
    case ParameterKind::kPlace:
      if (!S3Location::is_meant_by(text) && text.find("://") != std::string::npos) return text;
      [[fallthrough]];
    case ParameterKind::kRepository:
      return path_to_json(repository_name(text, option));
    case ParameterKind::kText:
      return path_to_json(text);
  }
  return {};
}

/// A verb for a running machine, as the table of the control socket's methods has it.
class MethodVerb final : public Verb {
 public:
  explicit MethodVerb(const RpcMethod& method) : method_(method), parameters_(method.parameters()) {}

  void declare(VerbOptions& options) override {
    options.positional("NAME", name_, "The machine");
    for (const Parameter& parameter : parameters_) declare(parameter, options);
    if (method_.footer != nullptr) options.footer(method_.footer);
  }

  int run(Output& output) override {
    try {
      return call(output);
    } catch (const MachineEnded& ended) {
      output.result(ended.result());
      throw;
    }
  }

 private:
  int call(Output& output) {
    method_.check(params_);
    ControlClient client = connect_to_machine(name_);
    if (is_forced()) return force(client, output);
    const json result =
        is_long(method_.pace) ? call_long(client, output) : client.call(method_name(), params_, kAnswerTime);
    if (ends_machine(method_.pace)) wait_for_end(client);
    return tell(result, output);
  }

  int tell(const json& result, Output& output) const {
    output.line("{}", result_text(method_.name, result));
    output.result(result);
    return 0;
  }

  bool is_forced() const { return ends_machine(method_.pace) && params_.value("force", false); }

  /// One that does not answer is killed.
  int force(ControlClient& client, Output& output) {
    json result;
    try {
      result = client.call(method_name(), params_, kForcedAnswerTime);
    } catch (const MachineSilent&) {
      const int process = client.process();
      if (process <= 0 || ::kill(process, SIGKILL) != 0)
        throw Error("{} (process {}) does not answer, and cannot be killed ({})", name_, process, errno_text(errno));
      result = {{"name", name_}, {"state", "killed"}, {"reason", kKilled}};
    }
    wait_for_end(client);
    return tell(result, output);
  }

  void declare(const Parameter& parameter, VerbOptions& options) {
    if (parameter.option.option == nullptr) return;
    if (parameter.kind == ParameterKind::kRepository || parameter.kind == ParameterKind::kPlace) options.endpoint();
    const auto take = [this, &parameter](const std::string& text) {
      params_[parameter.name] = value_from_text(parameter, text);
    };
    if (parameter.kind == ParameterKind::kFlag) {
      options.flag(parameter.option.option, take, parameter.help);
    } else {
      options.value(parameter.option.option, parameter.option.placeholder, take, parameter.help, false);
      if (!parameter.words.empty()) options.words(parameter.words);
    }
  }

  std::string method_name() const { return std::string(method_.name); }

  /// The first signals ask the machine to give up, which ends the call; one more ends this command.
  json call_long(ControlClient& client, Output& output) {
    const StopSignals signals;
    const StopWatch watch(signals, [this](const StopRequest&) {
      connect_to_machine(name_).call(method_name(), {{"cancel", true}}, kAnswerTime);
    });
    const json result = client.call(method_name(), params_, kLongestSilence, output.progress());
    output.end_progress();
    return result;
  }

  void wait_for_end(ControlClient& client) {
    const auto patience = is_forced() ? kForcedCloseTime : kDisksCloseTime;
    if (client.wait_for_end(patience)) return;
    throw Error(
        "{} has stopped, but after {} s the host has still not finished its I/O to its disks, which are locked until "
        "then: look at the host's disks, and with `tintype list` for the process that waits for them",
        name_, patience.count());
  }

  const RpcMethod& method_;
  const std::vector<Parameter> parameters_;
  std::string name_;
  json params_ = json::object();
};

}  // namespace

std::unique_ptr<Verb> make_method_verb(const RpcMethod& method) { return std::make_unique<MethodVerb>(method); }

}  // namespace tintype
