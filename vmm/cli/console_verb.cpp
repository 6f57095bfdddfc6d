// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include "devices/raw_terminal.h"
#include "vmm/base/error.h"
#include "vmm/cli/console_feed.h"
#include "vmm/cli/machine_call.h"
#include "vmm/cli/output.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"

namespace tintype {

namespace {

constexpr std::uint64_t kLastScreen = 2048;
constexpr char kEscape = 1;  // Ctrl-A

/// Ctrl-A and one more key. What is for the guest is left.
class AttachKeys {
 public:
  std::string for_guest(std::string_view keys) {
    std::string rest;
    for (const char key : keys) {
      const bool command = std::exchange(escaped_, false);
      if (!command && key == kEscape) {
        escaped_ = true;
      } else if (command && (key == 'd' || key == 'x')) {
        leaves_ = true;
      } else if (!command || key == kEscape) {
        rest += key;
      }
    }
    return rest;
  }
  bool leaves() const noexcept { return leaves_; }

 private:
  bool escaped_ = false, leaves_ = false;
};

class ConsoleVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.positional("NAME", name_, "The machine");
    options.footer(
        "Ctrl-A d leaves, and the machine runs on; Ctrl-A Ctrl-A sends Ctrl-A to the guest. What is typed goes beside "
        "what the serial line is connected to, and several may be attached. From a pipe: leaves at its end.");
  }

  int run(Output& output) override {
    if (output.json()) throw UsageError("a console is for people and pipes, not for --json: see `tintype logs`");
    ConsoleReader console(connect_to_machine(name_), kLastScreen);
    ControlClient keyboard = connect_to_machine(name_);
    std::optional<RawTerminal> terminal;
    if (RawTerminal::is_ours(STDIN_FILENO)) {
      std::fprintf(stderr, "attached to %s: Ctrl-A d leaves\r\n", name_.c_str());
      terminal.emplace(STDIN_FILENO);
    }
    while (!console.ended() && !keys_.leaves() && !input_ended_) {
      wait(console.fd());
      carry_output(console);
      if (input_is_ready_) carry_input(keyboard, terminal.has_value());
    }
    carry_output(console);
    return 0;
  }

 private:
  void wait(int console) {
    std::array<pollfd, 2> polled = {{{STDIN_FILENO, POLLIN, 0}, {console, POLLIN, 0}}};
    if (::poll(polled.data(), polled.size(), 1000) < 0 && errno != EINTR) throw_errno("poll for keys and output");
    input_is_ready_ = polled[0].revents != 0;
  }

  void carry_output(ConsoleReader& console) {
    while (const auto piece = console.next(std::chrono::milliseconds(0))) {
      std::string_view rest = *piece;
      while (!rest.empty()) {
        const auto count = ::write(STDOUT_FILENO, rest.data(), rest.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throw_errno("write the guest's output to standard output");
        rest.remove_prefix(static_cast<std::size_t>(count));
      }
    }
  }

  void carry_input(ControlClient& keyboard, bool terminal) {
    std::array<char, 1024> buffer;
    const auto count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
    input_ended_ = count <= 0;
    if (input_ended_) return;
    const std::string_view read(buffer.data(), static_cast<std::size_t>(count));
    type(keyboard, terminal ? keys_.for_guest(read) : std::string(read), terminal);
  }

  /// A person's keys are lost where the guest reads none, so that Ctrl-A d works; a pipe waits.
  static void type(ControlClient& keyboard, std::string text, bool terminal) {
    while (!text.empty()) {
      const auto taken =
          keyboard.call("type", {{"text", path_to_json(text)}}, kAnswerTime).value("taken", std::size_t{0});
      text.erase(0, taken);
      if (terminal) return;
      if (!text.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  std::string name_;
  AttachKeys keys_;
  bool input_is_ready_ = false, input_ended_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_console_verb() { return std::make_unique<ConsoleVerb>(); }

}  // namespace tintype
