// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <thread>

#include <nlohmann/json.hpp>

#include "checkpoint/format/part_format.h"
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
#include "vmm/cli/standby_methods.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
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
/// Between tries to run what cannot be run.
constexpr milliseconds kFirstPause = std::chrono::seconds(1), kLongestPause = std::chrono::seconds(30);

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
      options.is_rightful = [this] {
        const auto right = right_.lock();
        return right && right->is_had();
      };
    }
    options.on_checkpoint = [this](std::uint64_t id) { shell_->came(id); };
    options.may_prune = [this] { return !shell_->status().loads_whole; };
    return options;
  }

  /// Without it nobody runs. Returns why it cannot be had.
  std::string take_lease(const std::string& vm) {
    try {
      if (vm.empty()) throw Error("the newest checkpoint does not say whose it is: no witness can be asked for it");
      lease_ = std::make_shared<LeaseKeeper>(*witness_, vm, Witness::Taking::kFromAnother);
      right_ = lease_;
      return {};
    } catch (const Error& error) {
      return error.what();
    }
  }

  /// Empty while it cannot be asked. It will be when the machine is to run, and has to know that machine.
  std::string which_witness() const {
    try {
      return Witness(*witness_, "").identity(kGlanceAtWitness);
    } catch (const Error& error) {
      log_note("standby: {}", error.what());
      return {};
    }
  }

  /// Answers meanwhile, at the socket that the machine will have. Who is told that this has ended finds it gone.
  std::unique_ptr<Machine> wait_and_take_over(const std::string& name, const Cancellation& cancelled) {
    const std::filesystem::path socket = control_socket_path(runtime_directory(), name);
    StandbyMethods methods(*standby_, *shell_, {name, witness_.value_or(""), disk_directory_});
    std::unique_ptr<Machine> machine;
    {
      const ControlServer server(socket, methods);
      try {
        const auto throw_if_unwanted = [&] {
          if (cancelled.requested() || methods.stopped()) throw Cancelled("the standby was stopped");
        };
        while (!standby_->wait_until_promoted(kGlance)) throw_if_unwanted();
        machine = take_over(methods, throw_if_unwanted);
      } catch (...) {
        methods.close();
        standby_.reset();
        shell_.reset();
        lease_.reset();
        throw;
      }
    }
    std::filesystem::remove(socket);
    return machine;
  }

  /// Nobody else has the machine any more. So where it cannot be run for want of something that may come, such as room
  /// on a disk, that is said, and it is tried again.
  std::unique_ptr<Machine> take_over(StandbyMethods& methods, const std::function<void()>& throw_if_unwanted) {
    for (milliseconds pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
      if (lease_ && lease_->is_lost())
        give_up(methods, fmt::format("another one has had the right to run {} since this standby took over, which will "
                                     "never have it again: start it anew, with a repository of its own",
                                     lease_->machine()));
      try {
        const std::uint64_t id = standby_->checkpoint();
        auto machine = shell_->take(id);
        if (!methods.note_machine(id)) throw_if_unwanted();
        log_note("standby: promoted; checkpoint {} runs on here", id);
        return machine;
      } catch (const Cancelled&) {
        throw;
      } catch (const ImageError& error) {
        give_up(methods, fmt::format("it has taken over, and its newest checkpoint is damaged: {0}. An older one may "
                                     "be whole: `tintype show {1}` lists them, and `tintype restore {1} --id N` runs "
                                     "one",
                                     error.what(), repository_->string()));
      } catch (const std::exception& error) {
        methods.note_failure(fmt::format(
            "it has taken over, and cannot run the newest checkpoint yet, which it goes on trying: {}", error.what()));
        log_note("standby: the newest checkpoint cannot be run: {}; it is tried again in {} s", error.what(),
                 std::chrono::duration_cast<std::chrono::seconds>(pause).count());
      }
      for (const auto end = Clock::now() + pause; Clock::now() < end; std::this_thread::sleep_for(kGlance))
        throw_if_unwanted();
    }
  }

  /// Whoever promotes it is told the same.
  [[noreturn]] static void give_up(StandbyMethods& methods, const std::string& why) {
    methods.note_failure(why);
    throw Error("{}", why);
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
    if (witness_) which_witness();  // that nobody answers there is said now
    auto machine = wait_and_take_over(name, cancelled);
    if (lease_) machine->run_by(std::exchange(lease_, nullptr));
    return machine;
  }

  std::optional<std::string> listen_, witness_, keep_, name_, serial_;
  std::optional<std::filesystem::path> repository_, key_, disk_directory_;
  std::optional<std::uint64_t> after_;
  SerialConfig serial_config_;
  std::shared_ptr<LeaseKeeper> lease_;  ///< until the machine has it
  std::weak_ptr<LeaseKeeper> right_;    ///< the same, and after that
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
