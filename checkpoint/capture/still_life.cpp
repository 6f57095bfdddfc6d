// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/still_life.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <cerrno>
#include <string>

#include <fmt/format.h>

#include "vmm/base/error.h"

namespace tintype {

namespace {

/// Blocks every signal in this thread, and so in a child of it.
class NoSignals {
 public:
  NoSignals() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~NoSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;

 private:
  sigset_t before_;
};

/// The child's whole life: system calls only.
[[noreturn]] void keep_still(int alive) noexcept {
  ::syscall(SYS_prctl, PR_SET_NAME, "still-life", 0, 0, 0);
  if (alive > 0) ::syscall(SYS_close_range, 0U, static_cast<unsigned>(alive) - 1, 0U);
  ::syscall(SYS_close_range, static_cast<unsigned>(alive) + 1, ~0U, 0U);
  char byte = 0;
  while (::syscall(SYS_read, alive, &byte, 1) < 0 && errno == EINTR) {
  }
  ::syscall(SYS_exit_group, 0);
  __builtin_unreachable();
}

}  // namespace

StillLife::StillLife() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe");
  const UniqueFd child_end(ends[0]);
  alive_ = UniqueFd(ends[1]);
  const NoSignals quiet;
  child_ = ::_Fork();
  if (child_ == 0) keep_still(child_end.get());
  if (child_ < 0) {
    throw Error("the host has no room for a copy of this process ({}): choose --strategy cow, or stop",
                errno_text(errno));
  }
}

StillLife::~StillLife() {
  alive_.reset();
  ::kill(child_, SIGKILL);
  while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// By /proc where that is of this PID namespace. process_vm_readv(2) pins pages, and before the kernel pins a page that
// two processes share it makes a copy of it for the one (FAULT_FLAG_UNSHARE, Linux 5.19): all of memory would be there
// twice.
void StillLife::read(std::span<const std::byte> from, std::byte* into) {
  if (!memory_ && !by_call_) open_memory();
  std::size_t done = 0;
  while (done < from.size()) {
    const ssize_t count = read_some(from.subspan(done), into + done);
    if (count < 0)
      throw Error("reading the copy of guest memory: {}: choose --strategy cow, or stop", errno_text(errno));
    if (count == 0)
      throw Error("the process that kept the copy of guest memory was killed: see whether the host has enough memory");
    done += static_cast<std::size_t>(count);
  }
}

void StillLife::open_memory() {
  char self[16] = {};
  if (::readlink("/proc/self", self, sizeof self - 1) > 0 && self == std::to_string(::getpid()))
    memory_ = UniqueFd(::open(fmt::format("/proc/{}/mem", child_).c_str(), O_RDONLY | O_CLOEXEC));
  by_call_ = !memory_;
}

ssize_t StillLife::read_some(std::span<const std::byte> from, std::byte* into) const {
  if (!by_call_)
    return ::pread(memory_.get(), into, from.size(), static_cast<off_t>(reinterpret_cast<std::uintptr_t>(from.data())));
  const iovec here{into, from.size()}, there{const_cast<std::byte*>(from.data()), from.size()};
  return ::process_vm_readv(child_, &here, 1, &there, 1, 0);
}

}  // namespace tintype
