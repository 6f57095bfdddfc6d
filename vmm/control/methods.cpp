// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/methods.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>

#include <nlohmann/json.hpp>

#include "checkpoint/backup/backup_service.h"
#include "checkpoint/format/manifest.h"
#include "vmm/control/inspection.h"
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

struct HarnessRequest {
  std::string area;
};

void parameters(auto& list, HarnessRequest& request) {
  list.directory("area", request.area, {"--area", "FILE", "What tintype_harness_open() made"});
}

struct ResetRequest {
  std::string repository;
  std::uint64_t id = 0;
};

void parameters(auto& list, ResetRequest& request) {
  list.repository("repository", request.repository, {"--to", "REPO", "To a checkpoint in there, instead of the mark"});
  list.number("id", request.id, {"--id", "N", "With --to: this checkpoint, instead of the newest"});
}

struct SuspendRequest {
  std::string directory;
  bool cancel = false;
};

void parameters(auto& list, SuspendRequest& request) {
  list.directory("directory", request.directory, {"--to", "DIR", "Where it is saved, by default beside its disks"});
  list.flag("cancel", request.cancel, {});
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

struct TypeRequest {
  std::string text;
};

void parameters(auto& list, TypeRequest& request) { list.text("text", request.text, {}); }

struct LookRequest {
  InspectRequest wish;
  bool text = false;
};

void parameters(auto& list, LookRequest& request) {
  InspectRequest& wish = request.wish;
  list.flag("registers", wish.registers, {});
  list.flag("virtqueues", wish.virtqueues, {});
  list.flag("physical", wish.is_physical, {});
  list.number("memory", wish.memory, {});
  list.size("memory_bytes", wish.memory_bytes, {});
  list.number("disassemble", wish.disassemble, {});
  list.number("page_tables", wish.page_tables, {});
  list.number("cpu", wish.cpu, {});
  list.flag("text", request.text, {});
}

struct BackupRequest {
  BackupPlan plan;
  std::string keep;
  bool status = false, stop = false;
};

void parameters(auto& list, BackupRequest& request) {
  BackupPlan& plan = request.plan;
  list.place("to", plan.to,
             {"--to", "REPO", "Directory of checkpoints, s3://BUCKET/PREFIX, or a standby: tcp://HOST:PORT"});
  list.time("every_ms", plan.every_ms, {"--every", "TIME", "One after the other, at this distance"});
  list.text("keep", request.keep,
            {"--keep", "RULE",
             "last=5,hourly=24,daily=7,weekly=4,monthly=12,yearly=3, or some of it, or within=30d; by default all"});
  list.time("verify_ms", plan.verify_ms, {"--verify", "TIME", "Read all of it back now and then: daily, or 6h"});
  list.time("drill_ms", plan.drill_ms, {"--drill", "TIME", "Restore the newest apart from everything now and then"});
  list.directory("key", plan.key, {"--key", "FILE", "With tcp://: the key that the standby shares"});
  list.text("witness", plan.witness, {"--witness", "URL", "With tcp://: the etcd that says who may run the machine"});
  list.flag("status", request.status, {"--status", "", "Say how they are getting on; so does no option at all"});
  list.flag("stop", request.stop, {"--stop", "", "Take no more: to there, or without --to to anywhere"});
}

BackupPlan plan_of(const BackupRequest& request) {
  BackupPlan plan = request.plan;
  if (!request.keep.empty()) plan.keep = parse_retention(request.keep, "--keep");
  return plan;
}

void validate(const auto&, const json&) {}

void validate(const BackupRequest& request, const json& given) {
  if (request.status && given.size() > 1) throw UsageError("--status (the parameter \"status\") takes no other");
  if (request.stop && given.size() > (given.contains("to") ? 2U : 1U))
    throw UsageError("--stop (the parameter \"stop\") takes --to and no other");
  if (request.status || request.stop || given.empty()) return;
  check_plan(plan_of(request));
  if (given.contains("keep")) static_cast<void>(parse_retention(request.keep, "--keep"));
  for (const std::string chore : {"verify", "drill"}) {
    if (given.value(chore + "_ms", 1) == 0)
      throw UsageError("--{} needs a time that is not 0 (the parameter \"{}_ms\"), or is left out", chore, chore);
  }
}

void validate(const CheckpointRequest& request, const json& given) {
  if (!request.cancel && request.options.repository.empty())
    throw UsageError("say where the checkpoint goes: --to REPO (the parameter \"repository\")");
  if (request.series.every_ms == 0 && (given.contains("every_ms") || given.contains("count") || given.contains("keep")))
    throw UsageError("say how often: --every TIME (the parameter \"every_ms\"), at least 1ms");
  for (const char* number : {"count", "keep"})
    if (given.contains(number) && given.at(number) == 0)
      throw UsageError("--{0} (the parameter \"{0}\") is at least 1", number);
  if (request.cancel && given.size() > 1) throw UsageError("--cancel (the parameter \"cancel\") takes no other");
}

void validate(const ResetRequest& request, const json& given) {
  if (request.repository.empty() && given.contains("id"))
    throw UsageError("say where that checkpoint is: --to REPO (the parameter \"repository\")");
  if (given.contains("id") && request.id == 0) throw UsageError("--id (the parameter \"id\") is 1 or more");
}

void validate(const LookRequest& request, const json&) { check_inspection(request.wish); }

void validate(const HarnessRequest& request, const json&) {
  if (request.area.empty()) throw UsageError("say which area is shared: --area FILE (the parameter \"area\")");
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

json reset(Machine& machine, const ResetRequest& request, const ProgressSink& progress) {
  const ResetReport report =
      request.repository.empty() ? machine.reset() : machine.reset_to(request.repository, request.id, progress);
  json result = state_of(machine, machine.status().state);
  result["pages"] = report.pages;
  result["disks"] = report.disks;
  result["pause_us"] = report.pause_us;
  if (report.id == 0) result["resets"] = report.resets;
  if (report.id != 0) result["id"] = report.id;
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
          {"not_deleted", series.not_deleted},
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

json harness(Machine& machine, const HarnessRequest& request, const ProgressSink&) {
  machine.attach_harness(request.area);
  return state_of(machine, machine.status().state);
}

json suspend(Machine& machine, const SuspendRequest& request, const ProgressSink& progress) {
  if (request.cancel) {
    machine.cancel_checkpoint();
    return {{"name", machine.config().name}, {"cancelled", true}};
  }
  const SuspendReport report = machine.suspend(request.directory, progress);
  json result = state_of(machine, RunState::kStopped);
  result["suspended"] = report.state.string();
  result["bytes_written"] = report.bytes_written;
  return result;
}

json type(Machine& machine, const TypeRequest& request, const ProgressSink&) {
  const std::span keys(reinterpret_cast<const std::uint8_t*>(request.text.data()), request.text.size());
  return {{"taken", machine.type(keys)}};
}

json look(Machine& machine, const LookRequest& request, const ProgressSink&) {
  json result = {{"name", machine.config().name}};
  machine.look([&](const Inspector& still) {
    const Inspection seen = inspect(still, request.wish);
    if (request.text) result["text"] = seen.text;
    if (!request.text) result.update(seen.object);
  });
  return result;
}

json backup(Machine& machine, const BackupRequest& request, const ProgressSink&) {
  const std::string& name = machine.config().name;
  const std::string& to = request.plan.to;
  if (request.stop && machine.backups().stop(to) == 0)
    throw Error("no backups of {} are being taken{}: `tintype backup {} --status` shows those that are", name,
                to.empty() ? "" : " to " + to, name);
  const std::string no_longer = request.stop || to.empty() ? "" : machine.backups().start(plan_of(request));
  return backups_to_json({name, machine.backups().status(), no_longer});
}

/// A line of the table: the function `body` with its parameters read from JSON.
template <typename Request, json (*body)(Machine&, const Request&, const ProgressSink&)>
constexpr RpcMethod method(std::string_view name, std::string_view help, MethodPace pace = MethodPace::kQuick,
                           const char* footer = nullptr, bool is_verb = true) {
  const auto call = [](Machine& machine, const json& object, const ProgressSink& progress) {
    return body(machine, request_from<Request>(object), progress);
  };
  const auto check = [](const json& object) { static_cast<void>(request_from<Request>(object)); };
  return {name, help, pace, parameters_of<Request>, check, call, footer, is_verb};
}

constexpr std::array kMethods = {
    method<Nothing, status>("status", "Show what one machine is and does", MethodPace::kQuick, nullptr, false),
    method<Nothing, pause>("pause", "Stop a machine's CPUs for a while"),
    method<Nothing, resume>("continue", "Let a paused machine run on"),
    method<StopRequest, stop>("stop", "End a machine", MethodPace::kEndsMachine),
    method<Nothing, mark>("mark", "Note this instant of a machine, in memory, for `tintype reset`", MethodPace::kQuick,
                          "It takes as much memory as the guest has touched. Until the machine ends, or is marked "
                          "again, its disks' images are not written to; redo logs beside them are."),
    method<ResetRequest, reset>("reset", "Put a machine back to its mark, or to a checkpoint, in place",
                                MethodPace::kQuick,
                                "Memory, CPUs, devices and disks: what was written since is dropped. A checkpoint is "
                                "checked first, and must be of such a machine; then the mark is gone."),
    method<HarnessRequest, harness>("harness", "Let a program feed a guest that resets itself", MethodPace::kQuick,
                                    "Programs do this by tintype_harness_open(): tools/harness/README.md."),
    method<CheckpointRequest, checkpoint>("checkpoint", "Photograph a machine while it runs", MethodPace::kLong,
                                          "The machine does the work. Ctrl-C cancels it, and the machine runs on."),
    method<SuspendRequest, suspend>("suspend", "Save a machine and end it, to go on with `tintype resume`",
                                    MethodPace::kLongThenEnds,
                                    "Its memory and devices go to NAME.suspended; its disks stay where they are, and "
                                    "nobody else may write to them until it is resumed."),
    method<TypeRequest, type>("type", "Type at a machine's serial line", MethodPace::kQuick, nullptr, false),
    method<LookRequest, look>("look", "Look into a machine that is paused", MethodPace::kQuick, nullptr, false),
    method<BackupRequest, backup>(
        "backup", "Back a machine up on a schedule, which goes on by itself", MethodPace::kQuick,
        "The machine does the work, until it ends or is told to stop. What fails is tried again, with growing pauses. "
        "A machine with a witness keeps its right to run until it ends, also after --stop: nobody else can have it."),
};

}  // namespace

std::span<const RpcMethod> rpc_methods() { return kMethods; }

const RpcMethod* find_rpc_method(std::string_view name) {
  const auto found = std::ranges::find(kMethods, name, &RpcMethod::name);
  return found == kMethods.end() ? nullptr : &*found;
}

}  // namespace tintype
