// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/stop_signals.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <sys/signalfd.h>

#include <optional>

#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/base/thread.h"

namespace tintype {

namespace {

sigset_t stopping_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&set, number);
  return set;
}

/// As if the signal had never been blocked: whoever put the terminal into raw mode has a handler that puts it back.
[[noreturn]] void die_of(int number) {
  sigset_t only;
  ::sigemptyset(&only);
  ::sigaddset(&only, number);
  ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
  ::raise(number);
  ::_exit(128 + number);
}

std::optional<signalfd_siginfo> next_signal(int fd) {
  signalfd_siginfo info{};
  return ::read(fd, &info, sizeof info) == sizeof info ? std::optional(info) : std::nullopt;
}

}  // namespace

StopSignals::StopSignals() {
  const sigset_t set = stopping_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  fd_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd_) throw_errno("signalfd");
}

StopWatch::StopWatch(const StopSignals& signals, std::function<void(const StopRequest&)> stop)
    : signals_(signals.fd()), stop_(std::move(stop)), thread_([this] { run(); }) {}

StopWatch::~StopWatch() {
  end_.signal();
  thread_.join();
  if (first_stop_.joinable()) first_stop_.join();
}

void StopWatch::run() {
  name_this_thread("signals");
  block_signals_in_this_thread();
  for (int count = 0;;) {
    pollfd entries[] = {{signals_, POLLIN, 0}, {end_.fd(), POLLIN, 0}};
    if (::poll(entries, 2, -1) <= 0) continue;
    if (entries[1].revents != 0) return;
    if (const auto info = next_signal(signals_))
      react(static_cast<int>(info->ssi_signo), ++count, static_cast<int>(info->ssi_pid));
  }
}

void StopWatch::react(int signal_number, int count, int sender) {
  if (count == 1) {
    first_stop_ = std::thread([this, sender] { try_stop({false, sender}); });
  } else if (count == 2) {
    try_stop({true, sender});
  } else {
    die_of(signal_number);
  }
}

void StopWatch::try_stop(const StopRequest& request) noexcept {
  try {
    stop_(request);
  } catch (const std::exception& failure) {
    log_line(failure.what());
  }
}

}  // namespace tintype
