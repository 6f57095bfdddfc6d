// SPDX-License-Identifier: Apache-2.0
#include <poll.h>

#include <cerrno>
#include <cstdio>
#include <map>
#include <optional>
#include <vector>

#include <nlohmann/json.hpp>

#include "checkpoint/format/manifest.h"
#include "vmm/base/error.h"
#include "vmm/cli/machine_call.h"
#include "vmm/cli/newcomers.h"
#include "vmm/cli/output.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"

namespace tintype {

using nlohmann::json;

namespace {

/// A machine whose name is there and which does not listen yet will soon, or has died.
constexpr auto kSoon = std::chrono::milliseconds(20);
constexpr int kTries = 100;

/// A line that whoever reads gets at once.
void print_event(json event) {
  event.erase("id");
  const std::string line = event.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  if (std::fputs(line.c_str(), stdout) < 0 || std::fflush(stdout) != 0)
    throw Error("standard output takes no more events");
}

json ended_event(const EndRecord& record) {
  return {{"event", record.state},
          {"name", record.name},
          {"time", record.ended},
          {"reason", record.reason},
          {"exit_code", record.exit_code}};
}

struct Followed {
  std::string name;
  ControlClient client;
  bool has_ended = false;
};

class EventsVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.optional_positional("NAME", name_, "Of this machine, until it has ended; otherwise of all, without end");
    options.flag("--progress", progress_, "And how far the checkpoint has come that is being taken");
    options.footer(
        "Begins with what has happened since the machine started (the last 256 of it are kept).\n"
        "Each line has \"event\" (started, paused, continued, checkpoint, checkpoint-failed, backup-failed, marked,\n"
        "reset, panic, ended, killed), \"name\", \"number\", \"time\" and \"uptime_ms\"; further \"reason\", "
        "\"exit_code\",\n"
        "\"checkpoint\" (its report), and \"missed\": how many lines this reader was too slow for.");
  }

  int run(Output&) override {
    if (name_) return follow_one();
    Newcomers newcomers;
    for (;;) {
      follow_all();
      wait(newcomers);
    }
  }

 private:
  int follow_one() {
    if (const auto record = find_end_record(*name_)) {
      print_event(ended_event(*record));
      return 0;
    }
    Followed machine = follow(*name_, connect_to_machine(*name_));
    while (!machine.client.hung_up()) print_what_is_new(machine, std::chrono::hours(1));
    print_if_killed(machine);
    return 0;
  }

  void follow_all() {
    meet_all();
    for (auto& [path, machine] : machines_) print_what_is_new(machine, std::chrono::milliseconds(0));
    std::erase_if(machines_, [](const auto& entry) {
      if (!entry.second.client.hung_up()) return false;
      print_if_killed(entry.second);
      return true;
    });
  }

  /// Those in all directories of this user. One that may not be read is an error where nothing is found elsewhere.
  void meet_all() {
    all_listen_ = true;
    const auto unreadable =
        for_each_machine([this](const auto& directory, const std::string& name) { meet(directory, name); });
    if (unreadable && machines_.empty()) throw *unreadable;
  }

  /// Until one of them has something to tell, or another may have come.
  void wait(Newcomers& newcomers) {
    std::vector<pollfd> polled = {{newcomers.fd(), POLLIN, 0}};
    for (const auto& [path, machine] : machines_) polled.push_back({machine.client.fd(), POLLIN, 0});
    const bool tries = !all_listen_ && tries_++ < kTries;
    const auto patience = tries ? kSoon : newcomers.patience();
    if (::poll(polled.data(), polled.size(), static_cast<int>(patience.count())) < 0 && errno != EINTR)
      throw_errno("poll for events");
    if (polled[0].revents != 0) tries_ = 0;
    newcomers.take();
  }

  void meet(const std::filesystem::path& directory, const std::string& name) {
    const std::string path = (directory / name).string();
    if (machines_.contains(path)) return;
    try {
      machines_.emplace(path, follow(name, ControlClient(directory, name)));
    } catch (const Error&) {  // not there yet, or no more
      all_listen_ = false;
    }
  }

  Followed follow(const std::string& name, ControlClient client) const {
    client.follow("events", {{"past", true}, {"progress", progress_}});
    return {name, std::move(client)};
  }

  static void print_what_is_new(Followed& machine, std::chrono::milliseconds patience) {
    while (auto event = machine.client.next(patience)) {
      machine.has_ended = machine.has_ended || event->value("event", "") == "ended";
      print_event(std::move(*event));
    }
  }

  /// It hung up without a word. What it left says so, where nobody has its name again.
  static void print_if_killed(const Followed& machine) {
    if (machine.has_ended) return;
    const auto record = find_end_record(machine.name);
    if (!record || !was_killed(*record)) return;
    json event = ended_event(*record);
    event["time"] = utc_time_text();
    print_event(std::move(event));
  }

  std::optional<std::string> name_;
  bool progress_ = false;
  std::map<std::string, Followed> machines_;
  bool all_listen_ = true;
  int tries_ = 0;  ///< since a machine may have come
};

}  // namespace

std::unique_ptr<Verb> make_events_verb() { return std::make_unique<EventsVerb>(); }

}  // namespace tintype
