// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/methods.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>

#include <nlohmann/json.hpp>

#include "checkpoint/format/manifest.h"
#include "vmm/control/parameters.h"
#include "vmm/control/status_json.h"

namespace tintype {

using nlohmann::json;

namespace {

struct Nothing {};

void parameters(auto&, Nothing&) {}

struct StopRequest {
  bool force = false;
  std::uint64_t patience_ms = 10'000;
};

void parameters(auto& list, StopRequest& request) {
  list.flag("force", request.force, {"--force", "", "End it without asking the guest to power off"});
  list.number("patience_ms", request.patience_ms, {});
}

struct CheckpointRequest {
  CheckpointOptions options;
  SeriesOptions series;
  bool cancel = false;
};

void parameters(auto& list, CheckpointRequest& request) {
  CheckpointOptions& options = request.options;
  list.repository("repository", options.repository,
                  {"--to", "REPO", "Directory of checkpoints, created where missing; or s3://BUCKET/PREFIX"});
  list.word("strategy", options.strategy, {"--strategy", "WORD", "How memory is captured"});
  list.word("compression", options.compression, {"--compress", "WORD", "How parts are compressed"});
  list.size("capture_area", options.capture_area,
            {"--capture-area", "SIZE", "Memory for pages that the guest changes meanwhile"});
  list.flag("full", options.full, {"--full", "", "Save all of it, though there is a checkpoint to build on"});
  list.word("only", options.only, {"--only", "WORD", "What of the machine is saved"});
  list.time("every_ms", request.series.every_ms, {"--every", "TIME", "Take one after the other, at this distance"});
  list.number("count", request.series.count, {"--count", "N", "With --every: so many, instead of until cancelled"});
  list.number("keep", request.series.keep, {"--keep", "N", "With --every: delete all but the newest N of them"});
  list.flag("cancel", request.cancel, {"--cancel", "", "End the checkpoint that is under way, instead of taking one"});
}

void validate(const auto&, const json&) {}

void validate(const CheckpointRequest& request, const json& given) {
  if (!request.cancel && request.options.repository.empty())
    throw UsageError("say where the checkpoint goes: --to REPO (the parameter \"repository\")");
  if (request.series.every_ms == 0 && (given.contains("every_ms") || given.contains("count") || given.contains("keep")))
    throw UsageError("say how often: --every TIME (the parameter \"every_ms\"), at least 1ms");
  if (request.cancel && given.size() > 1) throw UsageError("--cancel (the parameter \"cancel\") takes no other");
}

template <typename Request>
std::vector<Parameter> parameters_of() {
  ParameterCatalogue catalogue;
  Request request;
  parameters(catalogue, request);
  return catalogue.take();
}

template <typename Request>
Request request_from(const json& object) {
  ParameterReader reader(object);
  Request request;
  parameters(reader, request);
  reader.refuse_others();
  validate(request, object);
  return request;
}

json state_of(const Machine& machine, RunState state) {
  return {{"name", machine.config().name}, {"state", name_of(state)}};
}

json status(Machine& machine, const Nothing&, const ProgressSink&) {
  return status_to_json(status_report(machine.config(), machine.status(), ::getpid()));
}

json pause(Machine& machine, const Nothing&, const ProgressSink&) {
  machine.pause();
  return state_of(machine, machine.status().state);
}

json resume(Machine& machine, const Nothing&, const ProgressSink&) {
  machine.resume();
  return state_of(machine, machine.status().state);
}

json mark(Machine& machine, const Nothing&, const ProgressSink&) {
  const MarkReport report = machine.mark();
  json result = state_of(machine, machine.status().state);
  result["marked"] = true;
  result["pause_us"] = report.pause_us;
  return result;
}

json reset(Machine& machine, const Nothing&, const ProgressSink&) {
  const ResetReport report = machine.reset();
  json result = state_of(machine, machine.status().state);
  result["pages"] = report.pages;
  result["disks"] = report.disks;
  result["pause_us"] = report.pause_us;
  result["resets"] = report.resets;
  return result;
}

constexpr std::uint64_t kMostPatienceMs = 600'000;

json stop(Machine& machine, const StopRequest& request, const ProgressSink&) {
  machine.stop(request.force, std::chrono::milliseconds(std::min(request.patience_ms, kMostPatienceMs)));
  json result = state_of(machine, RunState::kStopped);
  result["reason"] = machine.status().end_reason;
  return result;
}

json series_to_json(const SeriesReport& series) {
  return {{"taken", series.taken},
          {"skipped", series.skipped},
          {"deleted", series.deleted},
          {"elapsed_ms", series.elapsed_ms},
          {"bytes_written", series.bytes_written},
          {"pause_us", {{"p50", series.pause_us.p50}, {"p99", series.pause_us.p99}, {"max", series.pause_us.max}}},
          {"latest", json::parse(report_as_json(series.latest))}};
}

json checkpoint(Machine& machine, const CheckpointRequest& request, const ProgressSink& progress) {
  if (request.series.every_ms != 0)
    return series_to_json(machine.checkpoint_series(request.options, request.series, progress));
  if (!request.cancel) return json::parse(report_as_json(machine.checkpoint(request.options, progress)));
  machine.cancel_checkpoint();
  return {{"name", machine.config().name}, {"cancelled", true}};
}

/// A line of the table: the function `body` with its parameters read from JSON.
template <typename Request, json (*body)(Machine&, const Request&, const ProgressSink&)>
constexpr RpcMethod method(std::string_view name, std::string_view help, MethodPace pace = MethodPace::kQuick,
                           const char* footer = nullptr) {
  const auto call = [](Machine& machine, const json& object, const ProgressSink& progress) {
    return body(machine, request_from<Request>(object), progress);
  };
  const auto check = [](const json& object) { static_cast<void>(request_from<Request>(object)); };
  return {name, help, pace, parameters_of<Request>, check, call, footer};
}

constexpr std::array kMethods = {
    method<Nothing, status>("status", "Show what one machine is and does"),
    method<Nothing, pause>("pause", "Stop a machine's CPUs for a while"),
    method<Nothing, resume>("continue", "Let a paused machine run on"),
    method<StopRequest, stop>("stop", "End a machine", MethodPace::kEndsMachine),
    method<Nothing, mark>("mark", "Note this instant of a machine, in memory, for `tintype reset`", MethodPace::kQuick,
                          "It takes as much memory as the guest has touched. Until the machine ends, or is marked "
                          "again, its disks' images are not written to; redo logs beside them are."),
    method<Nothing, reset>("reset", "Put a machine back to its mark, in place", MethodPace::kQuick,
                           "Memory, CPUs, devices and disks: what was written since is dropped."),
    method<CheckpointRequest, checkpoint>("checkpoint", "Photograph a machine while it runs", MethodPace::kLong,
                                          "The machine does the work. Ctrl-C cancels it, and the machine runs on."),
};

}  // namespace

std::span<const RpcMethod> rpc_methods() { return kMethods; }

const RpcMethod* find_rpc_method(std::string_view name) {
  const auto found = std::ranges::find(kMethods, name, &RpcMethod::name);
  return found == kMethods.end() ? nullptr : &*found;
}

}  // namespace tintype
