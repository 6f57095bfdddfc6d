// SPDX-License-Identifier: Apache-2.0
#include "tests/support/host_calls.h"

#include <fcntl.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <string>
#include <utility>

namespace tintype {
namespace {

namespace fs = std::filesystem;
using Moment = HostCalls::Moment;

thread_local HostCalls::Watcher mine;
thread_local bool i_watch_everybody = false;  ///< just now
std::mutex everybody_mutex;                   ///< guards the next, and is held during calls that are shown to it
HostCalls::Watcher everybodys;
std::atomic<bool> everybody_is_watched = false;

bool is_file_of(int fd, const fs::path& path) {
  struct stat open {
  }, there{};
  return ::fstat(fd, &open) == 0 && ::stat(path.c_str(), &there) == 0 && open.st_dev == there.st_dev &&
         open.st_ino == there.st_ino;
}

/// The kernel does not know the names of files that were given one after they were opened, as logs are.
fs::path name_of(int fd) {
  const fs::path name = fs::read_symlink("/proc/self/fd/" + std::to_string(fd));
  if (!name.string().ends_with(" (deleted)")) return name;
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator(name.parent_path(), gone))
    if (is_file_of(fd, entry.path())) return entry.path();
  return name;
}

/// `call` returns as system calls do, and `name` the file.
template <typename Name, typename Call>
auto shown_to(const HostCalls::Watcher& watcher, const Name& name, Moment before, Moment after, const Call& call) {
  if (const int failed = watcher(before, name())) return errno = failed, decltype(call())(-1);
  const auto result = call();
  if (result >= 0) (void)watcher(after, name());
  return result;
}

template <typename Name, typename Call>
auto shown(const Name& name, Moment before, Moment after, const Call& call) {
  if (mine) {
    const HostCalls::Watcher watcher = std::exchange(mine, nullptr);
    const auto result = shown_to(watcher, name, before, after, call);
    mine = watcher;
    return result;
  }
  if (i_watch_everybody || !everybody_is_watched) return call();
  const std::lock_guard lock(everybody_mutex);
  if (!everybodys) return call();
  i_watch_everybody = true;
  const auto result = shown_to(everybodys, name, before, after, call);
  i_watch_everybody = false;
  return result;
}

template <typename Call>
auto written(int fd, const Call& call) {
  return shown([fd] { return name_of(fd); }, Moment::kBeforeWrite, Moment::kAfterWrite, call);
}

int synced(long number, int fd, Moment before, Moment after) {
  return shown([fd] { return name_of(fd); }, before, after, [&] { return static_cast<int>(::syscall(number, fd)); });
}

}  // namespace

HostCalls::HostCalls(Watcher watcher, Of whom) : whom_(whom) {
  if (whom_ == Of::kThisThread) {
    mine = std::move(watcher);
    return;
  }
  const std::lock_guard lock(everybody_mutex);
  everybodys = std::move(watcher);
  everybody_is_watched = true;
}

HostCalls::~HostCalls() {
  if (whom_ == Of::kThisThread) {
    mine = nullptr;
    return;
  }
  const std::lock_guard lock(everybody_mutex);
  everybodys = nullptr;
  everybody_is_watched = false;
}

// By these names the library is called where files may be large.
extern "C" {

ssize_t pwrite64(int fd, const void* from, std::size_t bytes, off64_t offset) {
  return written(fd, [&] { return ssize_t{::syscall(SYS_pwrite64, fd, from, bytes, offset)}; });
}

ssize_t pwritev64(int fd, const iovec* from, int count, off64_t offset) {
  return written(fd, [&] { return ssize_t{::syscall(SYS_pwritev, fd, from, count, offset, 0)}; });
}

int fallocate64(int fd, int mode, off64_t offset, off64_t bytes) {
  return written(fd, [&] { return static_cast<int>(::syscall(SYS_fallocate, fd, mode, offset, bytes)); });
}

int fsetxattr(int fd, const char* name, const void* value, std::size_t size, int flags) noexcept {
  return written(fd, [&] { return static_cast<int>(::syscall(SYS_fsetxattr, fd, name, value, size, flags)); });
}

int linkat(int from_directory, const char* from, int to_directory, const char* to, int flags) noexcept {
  return shown([to] { return fs::path(to); }, Moment::kBeforeWrite, Moment::kAfterWrite,
               [&] { return static_cast<int>(::syscall(SYS_linkat, from_directory, from, to_directory, to, flags)); });
}

int fsync(int fd) { return synced(SYS_fsync, fd, Moment::kBeforeSync, Moment::kAfterSync); }
int fdatasync(int fd) { return synced(SYS_fdatasync, fd, Moment::kBeforeDataSync, Moment::kAfterDataSync); }

}  // extern "C"

}  // namespace tintype
