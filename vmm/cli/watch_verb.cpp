// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <unistd.h>

#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <deque>
#include <optional>

#include "devices/raw_terminal.h"
#include "vmm/base/error.h"
#include "vmm/cli/machine_call.h"
#include "vmm/cli/output.h"
#include "vmm/cli/stop_signals.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/cli/watch_page_verb.h"
#include "vmm/watch/machine_watch.h"
#include "vmm/watch/screen.h"

namespace tintype {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kHappenedKept = 200;
constexpr char kCtrlC = 3;

/// A terminal as a picture, and afterwards as it was.
class Screen {
 public:
  Screen() : keys_(STDIN_FILENO) { write("\x1b[?1049h\x1b[?25l"); }
  ~Screen() { write("\x1b[?25h\x1b[?1049l"); }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  void draw(const WatchSample& sample, const std::deque<std::string>& happened) {
    winsize size{};
    const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    std::string text = "\x1b[H";
    for (const std::string& line :
         watch_screen(sample, happened, known ? size.ws_col : 80, known ? size.ws_row - 1 : 23))
      text += line + "\x1b[K\r\n";
    write(text + "\x1b[J");
  }

  /// What was typed asks to leave.
  static bool leaves() {
    std::array<char, 64> keys;
    const auto count = ::read(STDIN_FILENO, keys.data(), keys.size());
    if (count <= 0) return count == 0 || (errno != EINTR && errno != EAGAIN);
    for (const char key : std::string_view(keys.data(), static_cast<std::size_t>(count)))
      if (key == 'q' || key == 'Q' || key == kCtrlC) return true;
    return false;
  }

 private:
  static void write(std::string_view text) {
    while (!text.empty()) {
      const auto count = ::write(STDOUT_FILENO, text.data(), text.size());
      if (count < 0 && errno != EINTR) return;
      if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  RawTerminal keys_;
};

class WatchVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.positional("NAME", name_, "The machine");
    options.value(
        "--every", "TIME", [this](const std::string& text) { set_every(text); },
        "How often it is looked at, by default 1s", false);
    options.number("--count", count_, "Look so many times, then leave");
    page_.declare(options);
    options.footer(
        "On a terminal a live picture, which q or Ctrl-C ends; otherwise a line a look, and one for all that happens.\n"
        "It ends with the machine. Page faults are those that KVM mended, which are more while a checkpoint is taken.\n"
        "With --listen whoever has the address that is printed, and is on this computer, can watch and drive the "
        "machine.");
  }

  int run(Output& output) override {
    if (page_.is_wanted()) return page_.run(name_, every_, output);
    if (count_ && *count_ == 0) throw UsageError("--count is at least 1");
    if (output.json()) throw UsageError("a picture is for people, not for --json: see `tintype status` and `events`");
    try {
      return show(output);
    } catch (const ReaderGone&) {  // who has seen enough, as `head` has
      return 0;
    }
  }

 private:
  int show(Output& output) {
    const StopSignals signals;
    MachineWatch machine(connect_to_machine(name_), connect_to_machine(name_));
    std::optional<Screen> screen;
    if (::isatty(STDOUT_FILENO) != 0 && RawTerminal::is_ours(STDIN_FILENO)) screen.emplace();
    if (!screen) output.line("{}", rate_head());
    while (!machine.ended()) {
      const auto sample = machine.look();
      if (!sample) break;
      tell_events(machine, screen.has_value(), output);
      screen ? screen->draw(*sample, happened_) : output.line("{}", rate_line(*sample));
      if (count_ && --*count_ == 0) return 0;
      if (!rest(signals, screen.has_value())) return 0;
    }
    screen.reset();
    while (!machine.ended()) tell_events(machine, false, output, milliseconds(100));
    tell_events(machine, false, output);
    return 0;
  }

  void set_every(const std::string& text) {
    constexpr std::uint64_t kShortest = 50, kLongest = 24ULL * 3600 * 1000;
    const std::uint64_t ms = parse_time(text, "--every");
    if (ms < kShortest || ms > kLongest) throw UsageError("--every is from 50ms to 24h");
    every_ = milliseconds(ms);
  }

  void tell_events(MachineWatch& machine, bool on_screen, Output& output, milliseconds patience = milliseconds(0)) {
    while (const auto event = machine.next_event(patience)) {
      happened_.push_back(event_text(*event));
      if (happened_.size() > kHappenedKept) happened_.pop_front();
      if (!on_screen) output.line("{}", happened_.back());
    }
  }

  /// Until it is time to look again. False where whoever watches has had enough.
  bool rest(const StopSignals& signals, bool has_keys) const {
    const auto until = Clock::now() + every_;
    for (;;) {
      const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
      if (left.count() <= 0) return true;
      std::array<pollfd, 2> polled = {{{signals.fd(), POLLIN, 0}, {has_keys ? STDIN_FILENO : -1, POLLIN, 0}}};
      if (::poll(polled.data(), polled.size(), static_cast<int>(left.count())) < 0 && errno != EINTR)
        throw_errno("poll for keys");
      if (polled[0].revents != 0 || (polled[1].revents != 0 && Screen::leaves())) return false;
    }
  }

  std::string name_;
  milliseconds every_ = std::chrono::seconds(1);
  std::optional<std::uint64_t> count_;
  std::deque<std::string> happened_;
  WatchPageOptions page_;
};

}  // namespace

std::unique_ptr<Verb> make_watch_verb() { return std::make_unique<WatchVerb>(); }

}  // namespace tintype
