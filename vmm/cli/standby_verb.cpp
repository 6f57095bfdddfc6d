// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <nlohmann/json.hpp>

#include "checkpoint/s3/location.h"
#include "checkpoint/standby/key_file.h"
#include "checkpoint/standby/standby.h"
#include "checkpoint/standby/witness.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/cli/launch.h"
#include "vmm/cli/machine_call.h"
#include "vmm/cli/output.h"
#include "vmm/cli/run_options.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/rpc.h"
#include "vmm/control/runtime_directory.h"
#include "vmm/control/server.h"
#include "vmm/control/status_json.h"
#include "vmm/machine/warm_shell.h"

namespace tintype {

using nlohmann::json;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr const char* kDefaultKeep = "last=5";
constexpr milliseconds kGlance{20}, kGlanceAtWitness = std::chrono::seconds(1);
/// So long whoever promotes it waits for the machine; and between tries to run what cannot be run.
constexpr milliseconds kPatience = std::chrono::seconds(20), kFirstPause = std::chrono::seconds(1),
                       kLongestPause = std::chrono::seconds(30);

/// What a standby answers before it is a machine.
class StandbyMethods final : public ControlService {
 public:
  StandbyMethods(Standby& standby, const WarmShell& shell, std::string name)
      : standby_(standby), shell_(shell), name_(std::move(name)) {}
  /// It was promoted: the machine is there, or (`why`) cannot be run.
  void note_outcome(const std::string& why) {
    const std::lock_guard lock(mutex_);
    is_decided_ = true;
    failure_ = why;
    decided_.notify_all();
  }

  json call(const std::string& method, const json&, const ProgressSink&) override {
    if (method == "promote") return promote();
    if (method == "stop") {
      stopped_ = true;
      return {{"name", name_}, {"state", "stopped"}, {"reason", "stopped"}};
    }
    if (method == "status") return status();
    throw RpcError(
        rpc_code::kFailed,
        fmt::format("{} is a standby, and no machine until it takes over: `tintype status {}`", name_, name_));
  }
  bool stopped() const noexcept { return stopped_; }

 private:
  json promote() {
    standby_.promote();
    std::unique_lock lock(mutex_);
    decided_.wait_for(lock, kPatience, [this] { return is_decided_ || stopped_; });
    if (!failure_.empty()) throw RpcError(rpc_code::kFailed, failure_);
    return {{"name", name_}, {"promoted", true}, {"id", standby_.checkpoint()}};
  }

  std::string problem(const StandbyStatus& now, const WarmShell::Status& shell) const {
    const std::lock_guard lock(mutex_);
    if (!failure_.empty()) return failure_;
    return now.problem.empty() ? shell.problem : now.problem;
  }
  json status() const {
    const StandbyStatus now = standby_.status();
    const WarmShell::Status shell = shell_.status();
    json object = {{"name", name_}, {"pid", ::getpid()}, {"state", "standby"}};
    object["standby"] = {{"vm", now.vm},
                         {"latest", now.latest},
                         {"ready", shell.ready},
                         {"received", now.received},
                         {"connected", now.connected},
                         {"silent_ms", now.silent_ms},
                         {"problem", problem(now, shell)}};
    return object;
  }

  Standby& standby_;
  const WarmShell& shell_;
  const std::string name_;
  std::atomic<bool> stopped_ = false;
  mutable std::mutex mutex_;  // guards the next
  std::condition_variable decided_;
  bool is_decided_ = false;
  std::string failure_;
};

class StandbyVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.text("--listen", "HOST:PORT", listen_, "Where the first computer calls");
    options.value(
        "--repo", "DIR", [this](const std::string& text) { repository_ = directory_from(text); },
        "Where its checkpoints go; created where missing", false);
    options.path("--key", "FILE", key_, "The key that both share: openssl rand -hex 32");
    options.text("--witness", "URL", witness_, "The etcd that says who may run the machine");
    options.value(
        "--promote-after", "TIME", [this](const std::string& text) { after_ = parse_time(text, "--promote-after"); },
        "Take over when nothing was heard for so long", false);
    options.text("--keep", "RULE", keep_, "How many checkpoints stay, by default last=5");
    options.text("--name", "NAME", name_, "By which promote, status and stop know it, by default standby");
    options.path("--disk-dir", "DIR", disk_directory_, "Where the machine's disks will go, by default here");
    options.text("--serial", "WHERE", serial_, "COM1 of the machine: stdio, null, file:PATH or unix:PATH");
    options.footer(
        "It runs in the foreground; promoted, it becomes the machine, and exits as `tintype run` does.\n"
        "Two computers cannot tell a cut cable from a dead peer: without a witness, --promote-after may have both\n"
        "run the machine. Without both it waits for `tintype promote`.");
  }

  int run(Output& output) override {
    const std::string name = name_.value_or("standby");
    check_machine_name(name);
    require("--listen", listen_.has_value());
    require("--repo", repository_.has_value());
    require("--key", key_.has_value());
    if (witness_) check_witness_url(*witness_, "--witness");
    check_disk_directory();
    Launch what;
    what.name = name;
    serial_config_ = serial_config(serial_, false, output.json());
    what.make = [&](const Cancellation& cancelled) { return wait_for_promotion(name, cancelled); };
    return launch(what, output);
  }

 private:
  static void require(const char* option, bool given) {
    if (!given) throw UsageError("say {}: `tintype standby --help` shows what it is", option);
  }

  /// What is wrong then would only be seen when the machine is to run.
  void check_disk_directory() const {
    if (disk_directory_ && !std::filesystem::is_directory(*disk_directory_))
      throw Error("there is no directory {} for the disks of the machine: make it, or name another one with --disk-dir",
                  disk_directory_->string());
  }

  static std::filesystem::path directory_from(const std::string& text) {
    if (S3Location::is_meant_by(text))
      throw UsageError("a standby keeps what comes in a directory of its own computer: --repo cannot be \"{}\"", text);
    return absolute_path(text, "--repo");
  }

  StandbyOptions standby_options() {
    StandbyOptions options;
    options.listen = parse_tcp_address(*listen_, "--listen");
    options.repository = *repository_;
    options.key = read_key_file(*key_);
    options.keep = parse_retention(keep_.value_or(kDefaultKeep), "--keep");
    if (after_) options.promote_after = milliseconds(*after_);
    if (witness_) {
      options.why_not_promote = [this](const std::string& vm) { return take_lease(vm); };
      options.witness = [this] { return which_witness(); };
    }
    options.on_checkpoint = [this](std::uint64_t id) { shell_->came(id); };
    options.may_prune = [this] { return !shell_->status().loads_whole; };
    return options;
  }

  /// Without it nobody runs. Returns why it cannot be had.
  std::string take_lease(const std::string& vm) {
    try {
      if (vm.empty()) throw Error("the newest checkpoint does not say whose it is: no witness can be asked for it");
      lease_ = std::make_shared<LeaseKeeper>(*witness_, vm);
      return {};
    } catch (const Error& error) {
      return error.what();
    }
  }

  /// Empty while it cannot be asked: it will be when the machine is to run.
  std::string which_witness() const {
    try {
      return Witness(*witness_, "").identity(kGlanceAtWitness);
    } catch (const Error& error) {
      log_note("standby: {}", error.what());
      return {};
    }
  }

  /// Answers meanwhile, at the socket that the machine will have.
  std::unique_ptr<Machine> wait_and_take_over(const std::filesystem::path& socket, const std::string& name,
                                              const Cancellation& cancelled) {
    StandbyMethods methods(*standby_, *shell_, name);
    const auto throw_if_unwanted = [&] {
      if (cancelled.requested() || methods.stopped()) throw Cancelled("the standby was stopped");
    };
    std::unique_ptr<Machine> machine;
    {
      const ControlServer server(socket, methods);
      while (!standby_->wait_until_promoted(kGlance)) throw_if_unwanted();
      machine = take_over(methods, throw_if_unwanted);
    }
    std::filesystem::remove(socket);
    return machine;
  }

  /// Nobody else has the machine any more. So where it cannot be run for want of something that may come, such as room
  /// on a disk, that is said, and it is tried again.
  std::unique_ptr<Machine> take_over(StandbyMethods& methods, const std::function<void()>& throw_if_unwanted) {
    const std::uint64_t id = standby_->checkpoint();
    for (milliseconds pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
      try {
        auto machine = shell_->take(id);
        methods.note_outcome("");
        return machine;
      } catch (const std::exception& error) {
        methods.note_outcome(fmt::format(
            "it has taken over, and cannot run checkpoint {} yet, which it goes on trying: {}", id, error.what()));
        log_note("standby: checkpoint {} cannot be run: {}; it is tried again in {} s", id, error.what(),
                 std::chrono::duration_cast<std::chrono::seconds>(pause).count());
      }
      for (const auto end = Clock::now() + pause; Clock::now() < end; std::this_thread::sleep_for(kGlance))
        throw_if_unwanted();
    }
  }

  RestoreOptions restore_options(const std::string& name) const {
    RestoreOptions restore;
    restore.repository = *repository_;
    restore.name = name;
    restore.disk_directory = disk_directory_.value_or("");
    restore.serial = serial_config_;
    return restore;
  }

  std::unique_ptr<Machine> wait_for_promotion(const std::string& name, const Cancellation& cancelled) {
    shell_ = std::make_unique<WarmShell>(restore_options(name));
    standby_ = std::make_unique<Standby>(standby_options());
    if (const auto latest = standby_->status().latest; latest != 0) shell_->came(latest);
    auto machine = wait_and_take_over(control_socket_path(runtime_directory(), name), name, cancelled);
    if (lease_) machine->run_by(std::exchange(lease_, nullptr));
    log_note("standby: promoted; checkpoint {} runs on here", standby_->checkpoint());
    return machine;
  }

  std::optional<std::string> listen_, witness_, keep_, name_, serial_;
  std::optional<std::filesystem::path> repository_, key_, disk_directory_;
  std::optional<std::uint64_t> after_;
  SerialConfig serial_config_;
  std::shared_ptr<LeaseKeeper> lease_;
  std::unique_ptr<WarmShell> shell_;
  std::unique_ptr<Standby> standby_;  // goes on telling the first one that it was replaced
};

class PromoteVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.optional_positional("NAME", name_, "The standby, by default standby");
    options.footer(
        "Make sure that the first computer does not run the machine any more; with a witness that is made sure of.");
  }

  int run(Output& output) override {
    const std::string name = name_.value_or("standby");
    const json result = connect_to_machine(name).call("promote", json::object(), kAnswerTime);
    output.line("{} runs the machine now, from checkpoint {}.", name, result.value("id", std::uint64_t{0}));
    output.result(result);
    return 0;
  }

 private:
  std::optional<std::string> name_;
};

}  // namespace

std::unique_ptr<Verb> make_standby_verb() { return std::make_unique<StandbyVerb>(); }
std::unique_ptr<Verb> make_promote_verb() { return std::make_unique<PromoteVerb>(); }

}  // namespace tintype
