// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/standby_methods.h"

#include <unistd.h>

#include <chrono>

#include <fmt/format.h>

namespace tintype {

using nlohmann::json;

namespace {

/// So long whoever promotes it waits for the machine: less than he waits for an answer.
constexpr std::chrono::seconds kPatience{20};

}  // namespace

json StandbyMethods::call(const std::string& method, const json&, const ProgressSink&) {
  const std::shared_lock under_way(calls_);
  if (closed_) throw RpcError(rpc_code::kFailed, fmt::format("{} is ending", means_.name));
  if (method == "promote") return promote();
  if (method == "stop") return stop();
  if (method == "status") return status();
  throw RpcError(rpc_code::kFailed, fmt::format("{0} is a standby, and no machine until it takes over: "
                                                "`tintype status {0}`",
                                                means_.name));
}

json StandbyMethods::promote() {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  standby_.promote();
  std::unique_lock lock(mutex_);
  decided_.wait_until(lock, end, [this] { return fate_ != Fate::kOpen || !failure_.empty(); });
  if (fate_ == Fate::kMachine) return {{"name", means_.name}, {"promoted", true}, {"id", checkpoint_}};
  if (!failure_.empty()) throw RpcError(rpc_code::kFailed, failure_);
  if (fate_ == Fate::kStopped) throw RpcError(rpc_code::kFailed, "it was stopped before it ran the machine");
  throw RpcError(rpc_code::kFailed,
                 fmt::format("it has taken over, and the machine does not run yet: `tintype status {}`", means_.name));
}

json StandbyMethods::stop() {
  const std::lock_guard lock(mutex_);
  if (fate_ == Fate::kMachine)
    throw RpcError(rpc_code::kFailed, fmt::format("{} has become a machine this moment: say it again", means_.name));
  fate_ = Fate::kStopped;
  decided_.notify_all();
  return {{"name", means_.name}, {"state", "stopped"}, {"reason", "stopped"}};
}

json StandbyMethods::status() const {
  const StandbyStatus now = standby_.status();
  const WarmShell::Status shell = shell_.status();
  json object = {{"name", means_.name}, {"pid", ::getpid()}, {"state", "standby"}};
  object["standby"] = {{"vm", now.vm},
                       {"latest", now.latest},
                       {"ready", shell.ready},
                       {"received", now.received},
                       {"connected", now.connected},
                       {"silent_ms", now.silent_ms},
                       {"witness", means_.witness},
                       {"problem", problem(now, shell)}};
  return object;
}

/// The worst first. What would only be seen when the machine is to run is looked for now.
std::string StandbyMethods::problem(const StandbyStatus& now, const WarmShell::Status& shell) const {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_.empty()) return failure_;
  }
  std::error_code missing;
  if (means_.disk_directory && !std::filesystem::is_directory(*means_.disk_directory, missing))
    return fmt::format("the directory for the machine's disks is gone: make {}, or bring its device back",
                       means_.disk_directory->string());
  return now.problem.empty() ? shell.problem : now.problem;
}

bool StandbyMethods::stopped() const {
  const std::lock_guard lock(mutex_);
  return fate_ == Fate::kStopped;
}

void StandbyMethods::note_failure(const std::string& why) {
  const std::lock_guard lock(mutex_);
  failure_ = why;
  decided_.notify_all();
}

bool StandbyMethods::note_machine(std::uint64_t checkpoint) {
  const std::lock_guard lock(mutex_);
  if (fate_ == Fate::kStopped) return false;
  fate_ = Fate::kMachine;
  checkpoint_ = checkpoint;
  decided_.notify_all();
  return true;
}

void StandbyMethods::close() noexcept {
  {
    const std::lock_guard lock(mutex_);
    fate_ = Fate::kStopped;
    decided_.notify_all();
  }
  standby_.refuse_promotion();
  const std::unique_lock none_under_way(calls_);
  closed_ = true;
}

}  // namespace tintype
