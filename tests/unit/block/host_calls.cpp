// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/block/host_calls.h"

#include <unistd.h>

#include <sys/syscall.h>

#include <string>
#include <utility>

namespace tintype {
namespace {

thread_local HostCalls::Watcher current;

void show(HostCalls::Moment moment, int fd) {
  if (!current) return;
  const HostCalls::Watcher watcher = std::exchange(current, nullptr);
  watcher(moment, std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd)));
  current = watcher;
}

int synced(long call, int fd) {
  show(HostCalls::Moment::kBeforeSync, fd);
  const auto result = static_cast<int>(::syscall(call, fd));
  if (result == 0) show(HostCalls::Moment::kAfterSync, fd);
  return result;
}

}  // namespace

HostCalls::HostCalls(Watcher watcher) { current = std::move(watcher); }
HostCalls::~HostCalls() { current = nullptr; }

extern "C" {

ssize_t pwrite(int fd, const void* from, std::size_t bytes, off_t offset) {
  show(HostCalls::Moment::kBeforeWrite, fd);
  return ::syscall(SYS_pwrite64, fd, from, bytes, offset);
}

int fsync(int fd) { return synced(SYS_fsync, fd); }
int fdatasync(int fd) { return synced(SYS_fdatasync, fd); }

}  // extern "C"

}  // namespace tintype
