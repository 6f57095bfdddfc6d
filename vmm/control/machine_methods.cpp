// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/machine_methods.h"

#include <unistd.h>

#include <initializer_list>

#include <nlohmann/json.hpp>

#include "checkpoint/image/manifest.h"
#include "vmm/control/names.h"
#include "vmm/control/rpc.h"
#include "vmm/control/status_json.h"

namespace tintype {

using nlohmann::json;

namespace {

/// The parameters of one call, by name.
class Params {
 public:
  Params(const json& object, std::initializer_list<std::string_view> known) : object_(object) {
    for (const auto& [name, value] : object.items()) {
      if (std::find(known.begin(), known.end(), name) == known.end())
        throw UsageError("there is no parameter \"{}\" here", name);
    }
  }

  bool flag(const char* name) const {
    const json* value = find(name);
    if (value != nullptr && !value->is_boolean()) throw UsageError("the parameter \"{}\" must be true or false", name);
    return value != nullptr && value->get<bool>();
  }
  std::uint64_t number(const char* name, std::uint64_t otherwise) const {
    const json* value = find(name);
    if (value != nullptr && !value->is_number_unsigned())
      throw UsageError("the parameter \"{}\" must be a whole number, 0 or more", name);
    return value == nullptr ? otherwise : value->get<std::uint64_t>();
  }
  std::string text(const char* name, const std::string& otherwise) const {
    const json* value = find(name);
    if (value != nullptr && !value->is_string()) throw UsageError("the parameter \"{}\" must be a text", name);
    return value == nullptr ? otherwise : value->get<std::string>();
  }

 private:
  const json* find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }

  const json& object_;
};

CheckpointOptions checkpoint_options(const json& object) {
  const Params params(object, {"repository", "strategy", "full", "compression", "capture_area"});
  CheckpointOptions options;
  options.repository = params.text("repository", "");
  if (!std::filesystem::path(options.repository).is_absolute()) {
    throw UsageError(
        "the parameter \"repository\" must be an absolute path: the machine has a working directory of its own");
  }
  options.strategy = strategy_from_text(params.text("strategy", "auto"), "The strategy");
  options.full = params.flag("full");
  options.compression = compression_from_text(params.text("compression", "none"), "The compression");
  options.capture_area = params.number("capture_area", 0);
  return options;
}

constexpr std::uint64_t kMostPatienceMs = 600'000;

}  // namespace

json MachineMethods::call(const std::string& method, const json& params, const ProgressSink& progress) {
  if (method == "status") return status(params);
  if (method == "pause") return pause(params);
  if (method == "continue") return resume(params);
  if (method == "stop") return stop(params);
  if (method == "checkpoint") return checkpoint(params, progress);
  throw RpcError(rpc_code::kMethodNotFound, fmt::format("there is no method \"{}\"", method));
}

json MachineMethods::status(const json& params) {
  const Params none(params, {});
  return status_to_json(machine_.config(), machine_.status(), ::getpid());
}

json MachineMethods::pause(const json& params) {
  const Params none(params, {});
  machine_.pause();
  return {{"name", machine_.config().name}, {"state", name_of(machine_.status().state)}};
}

json MachineMethods::resume(const json& params) {
  const Params none(params, {});
  machine_.resume();
  return {{"name", machine_.config().name}, {"state", name_of(machine_.status().state)}};
}

json MachineMethods::stop(const json& object) {
  const Params params(object, {"force", "patience_ms"});
  const auto patience = std::min(params.number("patience_ms", 10'000), kMostPatienceMs);
  machine_.stop(params.flag("force"), std::chrono::milliseconds(patience));
  return {{"name", machine_.config().name}, {"state", name_of(RunState::kStopped)}};
}

json MachineMethods::checkpoint(const json& params, const ProgressSink& progress) {
  return json::parse(report_as_json(machine_.checkpoint(checkpoint_options(params), progress)));
}

}  // namespace tintype
