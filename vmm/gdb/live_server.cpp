// SPDX-License-Identifier: Apache-2.0
#include "vmm/gdb/live_server.h"

#include <poll.h>

#include <array>
#include <cerrno>
#include <optional>

#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/base/thread.h"
#include "vmm/gdb/connection.h"
#include "vmm/gdb/live_machine.h"

namespace tintype {

/// One gdb, and its hold on the machine.
class LiveGdbServer::Visit {
 public:
  Visit(Machine& machine, UniqueFd fd) : hold_(machine, bell_), subject_(machine), gdb_(std::move(fd), subject_) {}

  int fd() const noexcept { return gdb_.fd(); }
  int bell() const noexcept { return bell_.fd(); }
  bool receive() { return gdb_.receive(); }
  bool look() {
    bell_.take();
    const auto stop = hold_.debug().take_stop();
    if (!stop) return true;
    if (!gdb_.tell(*stop)) return false;
    if (stop->why != DebugStop::Why::kEnded) return true;
    gdb_.wait_until_gone();
    return false;
  }

 private:
  class Hold {
   public:
    Hold(Machine& machine, EventFd& bell) : debug_(machine.debug()) { debug_.attach(bell); }
    ~Hold() { debug_.detach(); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    MachineDebug& debug() noexcept { return debug_; }

   private:
    MachineDebug& debug_;
  };

  EventFd bell_;
  Hold hold_;
  LiveMachine subject_;
  GdbConnection gdb_;
};

LiveGdbServer::LiveGdbServer(Machine& machine, const std::string& address, std::string_view option)
    : machine_(machine), listener_(address, option) {
  thread_ = std::thread([this] { main(); });
}

LiveGdbServer::~LiveGdbServer() {
  over_.signal();
  thread_.join();
}

void LiveGdbServer::main() noexcept {
  name_this_thread("gdb");
  block_signals_in_this_thread();
  try {
    serve();
  } catch (const std::exception& error) {
    log_note("gdb can no longer come: {}", error.what());
  }
}

// The machine's end is told before this one's.
void LiveGdbServer::serve() {
  std::unique_ptr<Visit> visit;
  for (;;) {
    std::array<pollfd, 4> fds{{{over_.fd(), POLLIN, 0},
                               {listener_.fd(), POLLIN, 0},
                               {visit ? visit->fd() : -1, POLLIN, 0},
                               {visit ? visit->bell() : -1, POLLIN, 0}}};
    if (::poll(fds.data(), fds.size(), -1) < 0) {
      if (errno == EINTR) continue;
      throw_errno("wait for gdb");
    }
    try {
      if (fds[3].revents != 0 && !visit->look()) visit.reset();
      if (fds[0].revents != 0) return;
      if (visit && fds[2].revents != 0 && !visit->receive()) visit.reset();
      if (fds[1].revents == 0) continue;
      UniqueFd fd = listener_.accept();
      if (fd && !visit) visit = std::make_unique<Visit>(machine_, std::move(fd));  // a second one is turned away
    } catch (const std::exception& error) {
      log_note("gdb is turned away: {}", error.what());
      visit.reset();
    }
  }
}

}  // namespace tintype
