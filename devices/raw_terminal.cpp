// SPDX-License-Identifier: Apache-2.0
#include "devices/raw_terminal.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>

#include "vmm/base/error.h"

namespace tintype {
namespace {

// A signal handler can reach nothing but globals. `owned` says that the other two hold what they should.
std::atomic<bool> owned = false;
int terminal_fd = -1;
termios saved_modes{};

constexpr std::array kDeadlySignals = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT, SIGSEGV,
                                       SIGBUS, SIGFPE, SIGILL,  SIGTRAP, SIGSYS,  SIGXCPU};

/// Async-signal-safe. SIGTTOU is blocked meanwhile: it would stop a program that has gone into the
/// background.
void put_back() noexcept {
  if (!owned.exchange(false)) return;
  sigset_t stop, before;
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGTTOU);
  ::pthread_sigmask(SIG_BLOCK, &stop, &before);
  ::tcsetattr(terminal_fd, TCSANOW, &saved_modes);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

extern "C" void put_back_and_die(int signal_number) {
  put_back();
  ::raise(signal_number);  // the default action is in force again (SA_RESETHAND)
}

void catch_deadly_signals() noexcept {
  for (const int signal_number : kDeadlySignals) {
    struct sigaction now {};
    if (::sigaction(signal_number, nullptr, &now) != 0 || now.sa_handler != SIG_DFL) continue;
    struct sigaction ours {};
    ours.sa_handler = put_back_and_die;
    ours.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
    ::sigaction(signal_number, &ours, nullptr);
  }
}

void release_deadly_signals() noexcept {
  for (const int signal_number : kDeadlySignals) {
    struct sigaction now {};
    if (::sigaction(signal_number, nullptr, &now) != 0 || now.sa_handler != put_back_and_die) continue;
    ::signal(signal_number, SIG_DFL);
  }
}

/// Keys come one by one and unchanged. Output keeps its newline conversion, so that our own messages look
/// right.
termios raw_modes(termios modes) noexcept {
  ::cfmakeraw(&modes);
  modes.c_oflag |= OPOST;
  return modes;
}

}  // namespace

bool RawTerminal::is_ours(int fd) noexcept { return ::isatty(fd) == 1 && ::tcgetpgrp(fd) == ::getpgrp(); }

RawTerminal::RawTerminal(int fd) {
  check(!owned, "only one terminal is in raw mode at a time");
  if (::tcgetattr(fd, &saved_modes) != 0) throw_errno("tcgetattr of descriptor {}", fd);
  terminal_fd = fd;
  [[maybe_unused]] static const int registered = std::atexit(put_back);
  catch_deadly_signals();
  owned = true;
  const termios raw = raw_modes(saved_modes);
  if (::tcsetattr(fd, TCSANOW, &raw) == 0) return;
  const int error = errno;
  owned = false;
  release_deadly_signals();
  throw_errno_text(error, "tcsetattr of the terminal");
}

RawTerminal::~RawTerminal() {
  put_back();
  release_deadly_signals();
}

}  // namespace tintype
