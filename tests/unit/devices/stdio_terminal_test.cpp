// SPDX-License-Identifier: Apache-2.0
// A child process with a terminal of its own (a pty) runs a stdio console and ends in every way a program can
// end. The parent holds the other end and looks at the terminal's modes afterwards.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/wait.h>

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include <doctest/doctest.h>

#include "devices/serial_console.h"
#include "vmm/base/error.h"
#include "vmm/base/unique_fd.h"

namespace tintype {
namespace {

using namespace std::chrono_literals;

/// A guest that echoes each key in angle brackets.
class EchoPort final : public SerialPort {
 public:
  explicit EchoPort(SerialSink& sink) : sink_(sink) {}
  std::size_t receive(std::span<const std::uint8_t> bytes) noexcept override {
    for (const std::uint8_t byte : bytes) {
      sink_.put('<'), sink_.put(byte < ' ' ? static_cast<std::uint8_t>(byte + '@') : byte), sink_.put('>');
    }
    return bytes.size();
  }
  void transmit_room() noexcept override {}
  void receive_timeout() noexcept override {}

 private:
  SerialSink& sink_;
};

struct ChildConsole {
  std::atomic<bool> left = false;
  SerialConsole console{make_stdio_endpoint([this] { left = true; })};
  EchoPort port{console};
  void start() {
    console.start(port);
    for (const char c : std::string_view("ready\n")) console.put(static_cast<std::uint8_t>(c));
  }
};

/// The child, and the parent's view of its terminal.
class OnTerminal {
 public:
  explicit OnTerminal(const std::function<void(ChildConsole&)>& life, bool in_background = false) {
    main_.reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    REQUIRE(main_);
    REQUIRE(::grantpt(main_.get()) == 0);
    REQUIRE(::unlockpt(main_.get()) == 0);
    terminal_.reset(::open(::ptsname(main_.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    REQUIRE(::tcgetattr(terminal_.get(), &before_) == 0);
    child_ = ::fork();
    if (child_ == 0) live(life, in_background);
  }
  ~OnTerminal() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }

  void type(std::string_view keys) { REQUIRE(::write(main_.get(), keys.data(), keys.size()) == ssize_t(keys.size())); }
  /// Reads what the child prints until `text` has come.
  bool sees(std::string_view text) {
    for (int i = 0; i < 3000 && seen_.find(text) == std::string::npos; ++i) {
      pollfd polled{.fd = main_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&polled, 1, 10) <= 0) continue;
      char buffer[1024];
      const auto count = ::read(main_.get(), buffer, sizeof buffer);
      if (count > 0) seen_.append(buffer, static_cast<std::size_t>(count));
    }
    return seen_.find(text) != std::string::npos;
  }
  void kill(int signal_number) { ::kill(child_, signal_number); }
  /// The status of wait(), or -1 where the child does not end.
  int wait() {
    for (int i = 0; i < 6000; ++i) {
      int status = 0;
      if (::waitpid(child_, &status, WNOHANG) == child_) {
        child_ = -1;
        return status;
      }
      std::this_thread::sleep_for(5ms);
    }
    return -1;
  }
  bool is_raw() { return (modes().c_lflag & (ICANON | ECHO | ISIG)) == 0; }
  bool is_as_before() {
    const termios now = modes();
    return now.c_iflag == before_.c_iflag && now.c_oflag == before_.c_oflag && now.c_lflag == before_.c_lflag &&
           now.c_cflag == before_.c_cflag;
  }

 private:
  termios modes() {
    termios now{};
    REQUIRE(::tcgetattr(terminal_.get(), &now) == 0);
    return now;
  }
  [[noreturn]] void live(const std::function<void(ChildConsole&)>& life, bool in_background) noexcept {
    for (int signal_number = 1; signal_number < 32; ++signal_number) ::signal(signal_number, SIG_DFL);
    ::setsid();
    ::ioctl(terminal_.get(), TIOCSCTTY, 0);
    for (const int fd : {0, 1, 2}) ::dup2(terminal_.get(), fd);
    if (in_background && ::fork() != 0) {  // the session's leader stays in the foreground, its child is not
      int status = 0;
      ::wait(&status);
      ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
    }
    if (in_background) ::setpgid(0, 0);
    {
      ChildConsole console;
      console.start();
      life(console);
    }
    ::_exit(7);
  }

  UniqueFd main_, terminal_;
  termios before_{};
  pid_t child_ = -1;
  std::string seen_;
};

void live_on(ChildConsole&) {
  for (;;) ::pause();
}

}  // namespace

TEST_CASE("terminal: keys reach the guest one by one, Ctrl-C included, and Ctrl-A x leaves") {
  OnTerminal terminal([](ChildConsole& child) {
    while (!child.left) std::this_thread::sleep_for(1ms);
  });
  REQUIRE(terminal.sees("ready"));
  CHECK(terminal.is_raw());
  terminal.type("k\x03\x01\x01");
  CHECK(terminal.sees("<k><C><A>"));
  terminal.type("\x01h");
  CHECK(terminal.sees("leave: ends the machine"));
  terminal.type("\x01x");
  const int status = terminal.wait();
  CHECK(WIFEXITED(status));
  CHECK(terminal.is_as_before());
}

TEST_CASE("terminal: restored when a signal kills the program") {
  for (const int signal_number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGSEGV, SIGABRT}) {
    CAPTURE(signal_number);
    OnTerminal terminal(live_on);
    REQUIRE(terminal.sees("ready"));
    CHECK(terminal.is_raw());
    terminal.kill(signal_number);
    const int status = terminal.wait();
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == signal_number);
    CHECK(terminal.is_as_before());
  }
}

TEST_CASE("terminal: restored on exit(), abort(), an exception that nobody catches, and a failed check") {
  const auto ends_restored = [](const std::function<void(ChildConsole&)>& end) {
    OnTerminal terminal([&](ChildConsole& child) {
      while (!child.left) std::this_thread::sleep_for(1ms);
      end(child);
    });
    REQUIRE(terminal.sees("ready"));
    CHECK(terminal.is_raw());
    terminal.type("\x01x");
    CHECK(terminal.wait() != -1);
    CHECK(terminal.is_as_before());
  };
  ends_restored([](ChildConsole&) { ::exit(3); });
  ends_restored([](ChildConsole&) { ::abort(); });
  ends_restored([](ChildConsole&) { throw std::runtime_error("nobody catches this"); });
  ends_restored([](ChildConsole&) { check(false, "this check fails on purpose"); });
}

TEST_CASE("terminal: a program's own handler of SIGTERM is left alone") {
  OnTerminal terminal([](ChildConsole&) {
    sigset_t term;
    ::sigemptyset(&term);
    ::sigaddset(&term, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &term, nullptr);  // the console's thread blocks everything anyway
    int signal_number = 0;
    ::sigwait(&term, &signal_number);
  });
  REQUIRE(terminal.sees("ready"));
  std::this_thread::sleep_for(20ms);
  terminal.kill(SIGTERM);
  const int status = terminal.wait();
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
  CHECK(terminal.is_as_before());
}

TEST_CASE(
    "terminal: in the background the program runs and prints, and neither changes the terminal nor is "
    "stopped by it") {
  OnTerminal terminal([](ChildConsole&) { std::this_thread::sleep_for(50ms); }, true);
  CHECK(terminal.sees("ready"));
  CHECK(terminal.is_as_before());
  const int status = terminal.wait();
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
}

}  // namespace tintype
