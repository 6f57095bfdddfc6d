// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/watch_page_verb.h"

#include "vmm/base/error.h"
#include "vmm/cli/output.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb_options.h"

#ifdef TINTYPE_HAS_WATCH_PAGE
#include <poll.h>

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <mutex>

#include <nlohmann/json.hpp>

#include "vmm/cli/machine_call.h"
#include "vmm/cli/result_text.h"
#include "vmm/cli/stop_signals.h"
#include "vmm/watch/machine_watch.h"
#include "vmm/watch/page.h"
#include "vmm/watch/page_server.h"
#endif

namespace tintype {

void WatchPageOptions::declare(VerbOptions& options) {
  options.text("--listen", "ADDR", listen_, "Serve a page at [127.0.0.1:]PORT, 0 for any port, and print its address");
  options.endpoint();
  options.value(
      "--to", "REPO", [this](const std::string& text) { repository_ = repository_name(text, "--to"); },
      "With --listen: where the page's button puts checkpoints", false);
}

#ifndef TINTYPE_HAS_WATCH_PAGE

int WatchPageOptions::run(const std::string&, std::chrono::milliseconds, Output&) const {
  throw Error("this Tintype was built without pages: install libmicrohttpd-dev (tools/setup does) and build again");
}

#else

using nlohmann::json;
using std::chrono::milliseconds;

namespace {

constexpr auto kLongestSilence = std::chrono::minutes(15);

/// What the page's buttons do: each is a verb for the machine.
class Buttons {
 public:
  Buttons(std::string machine, std::optional<std::string> repository)
      : machine_(std::move(machine)), repository_(std::move(repository)) {}

  PageActions actions() {
    PageActions actions;
    actions.names = {"pause", "continue", "mark", "reset"};
    if (repository_) actions.names.emplace_back("checkpoint");
    actions.carry_out = [this](const std::string& name) { return carry_out(name); };
    actions.give_up = [this] { give_up(); };
    return actions;
  }

 private:
  std::string carry_out(const std::string& name) {
    json params = json::object();
    if (name == "checkpoint") params["repository"] = path_to_json(*repository_);
    ControlClient machine = connect_to_machine(machine_);
    const Called called(*this, machine.fd());
    return result_text(name, machine.call(name, params, kLongestSilence));
  }

  /// The machine goes on with what it does; nobody waits for it any more.
  void give_up() {
    const std::lock_guard lock(mutex_);
    gives_up_ = true;
    if (called_ >= 0) ::shutdown(called_, SHUT_RDWR);
  }

  /// From here on, give_up() ends the call.
  class Called {
   public:
    Called(Buttons& buttons, int fd) : buttons_(buttons) {
      const std::lock_guard lock(buttons_.mutex_);
      buttons_.called_ = fd;
      if (buttons_.gives_up_) ::shutdown(fd, SHUT_RDWR);
    }
    ~Called() {
      const std::lock_guard lock(buttons_.mutex_);
      buttons_.called_ = -1;
    }
    Called(const Called&) = delete;
    Called& operator=(const Called&) = delete;

   private:
    Buttons& buttons_;
  };

  const std::string machine_;
  const std::optional<std::string> repository_;
  std::mutex mutex_;  // guards the next two
  int called_ = -1;
  bool gives_up_ = false;
};

class PageLoop {
 public:
  PageLoop(MachineWatch& machine, PageServer& server, const StopSignals& signals, milliseconds every)
      : machine_(machine), server_(server), signals_(signals), every_(every) {}

  void run(const std::string& name) {
    while (const auto sample = machine_.look()) {
      server_.publish_sample(sample_to_json(*sample));
      if (!rest()) {
        server_.publish_end({{"text", "no longer watched"}});
        return;
      }
    }
    while (!machine_.ended()) tell_events(milliseconds(100));
    tell_events(milliseconds(0));
    server_.publish_end({{"text", end_text_.empty() ? name + " is gone" : end_text_}});
  }

 private:
  void tell_events(milliseconds patience) {
    while (const auto event = machine_.next_event(patience)) {
      if (event->value("event", "") == "ended") end_text_ = "ended: " + event->value("reason", "");
      server_.publish_event(*event);
    }
  }

  /// Until it is time to look again, and what happens is told at once. False where that is enough.
  bool rest() {
    const auto until = std::chrono::steady_clock::now() + every_;
    for (;;) {
      tell_events(milliseconds(0));
      const auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now());
      if (left.count() <= 0 || machine_.ended()) return true;
      std::array<pollfd, 2> polled = {{{signals_.fd(), POLLIN, 0}, {machine_.events_fd(), POLLIN, 0}}};
      if (::poll(polled.data(), polled.size(), static_cast<int>(left.count())) < 0 && errno != EINTR)
        throw_errno("poll for what happens");
      if (polled[0].revents != 0) return false;
    }
  }

  MachineWatch& machine_;
  PageServer& server_;
  const StopSignals& signals_;
  const milliseconds every_;
  std::string end_text_;
};

}  // namespace

int WatchPageOptions::run(const std::string& machine, milliseconds every, Output& output) const {
  if (!listen_) throw UsageError("--to is for the button of a page: say where it is served, --listen PORT");
  LoopbackPort port = listen_on_loopback(*listen_, "--listen", "drives the machine");
  const StopSignals signals;
  MachineWatch watch(connect_to_machine(machine), connect_to_machine(machine));
  Buttons buttons(machine, repository_);
  const char* const no_checkpoint = repository_ ? "" : "start it with --to REPO, and checkpoints go there";
  PageServer server(std::move(port), watch_page(machine, no_checkpoint), buttons.actions());
  output.line("{}", server.url());
  output.result({{"name", machine}, {"url", server.url()}});
  PageLoop(watch, server, signals, every).run(machine);
  return 0;
}

#endif

}  // namespace tintype
