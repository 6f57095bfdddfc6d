// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/runtime_directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "vmm/base/error.h"
#include "vmm/control/unix_socket.h"

namespace tintype {

namespace fs = std::filesystem;

namespace {

/// A `tintype list` that looks whether a lock is free holds it for an instant: wait that out before calling a name
/// taken.
constexpr int kClaimAttempts = 20;
/// Who was killed holds it until the kernel is through with his memory: seconds for each few GiB of small pages.
constexpr int kEndingAttempts = 12'000;
constexpr int kUnseenAttempts = 1000;  ///< nobody knows what who holds it is about
constexpr auto kClaimRetry = std::chrono::milliseconds(5);
/// Not just ".lock": the directory is the user's choice, and other programs' locks are not ours to clear away.
constexpr const char* kLockSuffix = ".tintype-lock";

fs::path lock_path(const fs::path& directory, const std::string& name) { return directory / (name + kLockSuffix); }

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// True where `path` still names the file that is open. False where its last holder removed it while we waited to open
/// it.
bool still_the_same_file(int fd, const fs::path& path) {
  struct stat opened {
  }, named{};
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

void write_pid(int fd) {
  const std::string text = fmt::format("{}\n", ::getpid());
  if (::ftruncate(fd, 0) != 0) return;  // the number only makes an error message better
  [[maybe_unused]] const auto written = ::pwrite(fd, text.data(), text.size(), 0);
}

/// Clears a dead machine's socket away, but leaves one on which somebody (then no machine, for the lock was free) still
/// listens.
void remove_dead_socket(const fs::path& path) {
  if (!connect_to_unix_socket(path) && errno == ECONNREFUSED) ::unlink(path.c_str());
}

/// The locked file, or nothing where somebody else holds the lock.
UniqueFd take_lock(const fs::path& path) {
  for (;;) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd)
      throw Error("cannot create {} ({}): set TINTYPE_RUNTIME_DIR to a directory that you can write to", path.string(),
                  errno_text(errno));
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK) return {};
      throw_errno("flock {}", path.string());
    }
    if (!still_the_same_file(fd.get(), path)) continue;
    write_pid(fd.get());
    return fd;
  }
}

/// Names of machines that live or were killed, sorted.
std::set<std::string> claimed_names(const fs::path& directory) {
  std::set<std::string> names;
  std::error_code failure;
  for (fs::directory_iterator entry(directory, failure), end; !failure && entry != end; entry.increment(failure)) {
    const fs::path& path = entry->path();
    if (path.extension() == kLockSuffix) names.insert(path.stem().string());
  }
  if (failure && failure != std::errc::no_such_file_or_directory) {
    throw Error(
        "the runtime directory {} cannot be read ({}): look as the user whose machines they are, or set "
        "TINTYPE_RUNTIME_DIR to another directory",
        directory.string(), failure.message());
  }
  return names;
}

/// The process is on its way out (proc(5): PF_EXITING in the flags of its status). Nothing where no process has this
/// number: it is gone, or seen only in another PID namespace.
std::optional<bool> is_ending(int pid) {
  constexpr unsigned long kExiting = 0x4;
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  std::istringstream fields(line.substr(std::min(line.size(), line.rfind(')') + 1)));  // what follows the name
  char state = 0;
  long parent = 0, group = 0, session = 0, terminal = 0, foreground = 0;
  unsigned long flags = 0;
  fields >> state >> parent >> group >> session >> terminal >> foreground >> flags;
  return state == 'Z' || state == 'X' || (flags & kExiting) != 0;
}

enum class Holder : std::uint8_t { kNone, kMachine, kUnknown };

/// Who holds the name, without a trace. Who was killed is nobody, though the kernel may not be through with his memory.
Holder holder_of(const fs::path& directory, const std::string& name) {
  const UniqueFd fd(::open(lock_path(directory, name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return errno == EACCES ? Holder::kUnknown : Holder::kNone;
  if (::flock(fd.get(), LOCK_SH | LOCK_NB) == 0) return Holder::kNone;
  return is_ending(pid_of_name_holder(directory, name)).value_or(false) ? Holder::kNone : Holder::kMachine;
}

/// Where the name is free, what lay there is cleared away. One that we may not touch is somebody's.
bool is_taken(const fs::path& directory, const std::string& name) {
  try {
    return !NameClaim::try_take(directory, name) && holder_of(directory, name) != Holder::kNone;
  } catch (const Error&) {
    return true;
  }
}

}  // namespace

std::vector<fs::path> lookup_directories() {
  std::vector<fs::path> directories = {runtime_directory()};
  if (!environment("TINTYPE_RUNTIME_DIR").empty()) return directories;
  for (const fs::path& more : {fs::path(fmt::format("/run/user/{}/tintype", ::getuid())), fs::path("/run/tintype")}) {
    if (std::ranges::find(directories, more) == directories.end()) directories.push_back(more);
  }
  return directories;
}

std::optional<fs::path> directory_of_machine(const std::string& name) {
  const auto directories = lookup_directories();
  for (const fs::path& directory : directories) {
    if (holder_of(directory, name) == Holder::kMachine) return directory;
  }
  if (holder_of(directories.front(), name) == Holder::kUnknown) return directories.front();
  return std::nullopt;
}

fs::path runtime_directory() {
  if (const std::string own = environment("TINTYPE_RUNTIME_DIR"); !own.empty()) return fs::absolute(own);
  if (const std::string session = environment("XDG_RUNTIME_DIR"); !session.empty())
    return fs::path(session) / "tintype";
  return "/run/tintype";
}

void create_runtime_directory(const fs::path& directory) {
  if (::mkdir(directory.c_str(), 0700) == 0) return;
  int failure = errno;
  if (failure == ENOENT) {
    std::error_code ignored;
    fs::create_directories(directory.parent_path(), ignored);
    failure = ::mkdir(directory.c_str(), 0700) == 0 ? 0 : errno;
  }
  if (failure == EEXIST && !fs::is_directory(directory)) failure = ENOTDIR;
  if (failure != 0 && failure != EEXIST) {
    throw Error(
        "cannot create the runtime directory {} ({}): set TINTYPE_RUNTIME_DIR to a directory that you can write to",
        directory.string(), errno_text(failure));
  }
}

void check_machine_name(std::string_view name) {
  const bool good = !name.empty() && name.size() <= 64 && name.front() != '-' && name.front() != '.' &&
                    std::all_of(name.begin(), name.end(), is_name_character);
  if (!good) {
    throw UsageError(
        "\"{}\" cannot name a machine: use up to 64 letters, digits, '-', '_' and '.', and begin with a letter or a "
        "digit",
        name);
  }
}

fs::path control_socket_path(const fs::path& directory, const std::string& name) {
  return directory / (name + ".sock");
}

NameClaim::NameClaim(const fs::path& directory, const std::string& name, UniqueFd lock)
    : directory_(directory), name_(name), lock_(std::move(lock)) {
  remove_dead_socket(socket_path());
}

NameClaim::NameClaim(const fs::path& directory, const std::string& name) : directory_(directory), name_(name) {
  check_machine_name(name);
  create_runtime_directory(directory);
  for (int attempt = 0; !lock_; ++attempt) {
    lock_ = take_lock(lock_path(directory, name));
    if (lock_) break;
    const auto ending = is_ending(pid_of_name_holder(directory, name));
    const int most = !ending ? kUnseenAttempts : *ending ? kEndingAttempts : kClaimAttempts;
    if (attempt >= most) {
      throw Error(
          "a machine named {} is running already (process {}): choose another --name, or end it with `tintype stop {}`",
          name, pid_of_name_holder(directory, name), name);
    }
    std::this_thread::sleep_for(kClaimRetry);
  }
  remove_dead_socket(socket_path());
}

std::optional<NameClaim> NameClaim::try_take(const fs::path& directory, const std::string& name) {
  UniqueFd lock = take_lock(lock_path(directory, name));
  if (!lock) return std::nullopt;
  return NameClaim(directory, name, std::move(lock));
}

void NameClaim::release() noexcept {
  if (!lock_) return;
  ::unlink(socket_path().c_str());
  ::unlink(lock_path(directory_, name_).c_str());  // still locked: nobody else can have taken it in between
  lock_.reset();
}

int pid_of_name_holder(const fs::path& directory, const std::string& name) {
  const UniqueFd fd(::open(lock_path(directory, name).c_str(), O_RDONLY | O_CLOEXEC));
  char text[16] = {};
  int pid = 0;
  if (fd && ::read(fd.get(), text, sizeof text - 1) > 0) std::from_chars(text, text + sizeof text, pid);
  return pid;
}

std::vector<std::string> living_machines(const fs::path& directory) {
  std::vector<std::string> living;
  for (const std::string& name : claimed_names(directory)) {
    if (is_taken(directory, name)) living.push_back(name);  // otherwise what lay there is cleared away
  }
  return living;
}

}  // namespace tintype
