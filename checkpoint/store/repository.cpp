// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/repository.h"

#include <fcntl.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <string_view>
#include <thread>

#include "checkpoint/format/part_format.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

// Names in a repository that are not checkpoints. All of these files are empty.
constexpr const char* kLockName = ".lock";                // taken for the moments in which names change
constexpr std::string_view kPendingPrefix = ".tmp-";      // ".tmp-00000004", a checkpoint in the making
constexpr std::string_view kDeletedPrefix = ".deleted-";  // ".deleted-00000004", on its way out
constexpr std::string_view kLastIdPrefix =
    ".last-id-";  // ".last-id-00000004": this id was deleted, and none below it is free
constexpr const char* kWriterLockName = ".writer";  // inside of ".tmp-...", locked by its writer

constexpr auto kLockPatience = std::chrono::seconds(10);

std::string id_name(std::uint64_t id) { return fmt::format("{:08}", id); }

/// The id in a name as id_name() makes them; nothing in all other names.
std::optional<std::uint64_t> id_of(std::string_view name) {
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
  if (error != std::errc() || end != name.data() + name.size() || id == 0 || name != id_name(id)) return std::nullopt;
  return id;
}

std::optional<std::uint64_t> id_after(std::string_view prefix, std::string_view name) {
  return name.starts_with(prefix) ? id_of(name.substr(prefix.size())) : std::nullopt;
}

template <typename Function>
void for_each_name(const fs::path& directory, Function function) {
  std::error_code error;
  fs::directory_iterator entry(directory, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error))
    function(entry->path().filename().string());
  if (error) throw Error("{} cannot be read: {}", directory.string(), error.message());
}

/// Absolute, and without a slash at the end.
fs::path directory_path(const fs::path& path) {
  if (path.empty()) throw Error("the repository has an empty name; name a directory for the checkpoints");
  const fs::path absolute = fs::absolute(path).lexically_normal();
  return absolute.has_filename() ? absolute : absolute.parent_path();
}

/// The lock on the names of a repository. Held for moments, never while data is written.
class NamesLock {
 public:
  explicit NamesLock(const fs::path& repository) {
    const fs::path path = repository / kLockName;
    fd_ = UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd_) throw Error("the repository {} cannot be written: {}", repository.string(), errno_text(errno));
    const auto deadline = std::chrono::steady_clock::now() + kLockPatience;
    while (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) throw_errno("lock {}", path.string());
      if (std::chrono::steady_clock::now() > deadline) {
        throw Error("another process keeps the repository {} locked; try again when it has ended", repository.string());
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

 private:
  UniqueFd fd_;
};

void rename_new(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
  if (errno == EINVAL || errno == ENOSYS) {  // a file system without RENAME_NOREPLACE; we hold the lock on names
    if (!fs::exists(to) && ::rename(from.c_str(), to.c_str()) == 0) return;
  }
  throw_errno("rename {} to {}", from.string(), to.string());
}

/// True where the process that wrote this is gone (or never came as far as its lock).
bool writer_is_dead(const fs::path& pending) {
  const UniqueFd lock(::open((pending / kWriterLockName).c_str(), O_RDWR | O_CLOEXEC));
  return !lock || ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0;
}

void remove_quietly(const fs::path& path) noexcept {
  std::error_code ignored;  // what stays is removed when the next checkpoint is begun
  fs::remove_all(path, ignored);
}

UniqueFd create_writer_lock(const fs::path& pending) {
  UniqueFd lock = open_file(pending / kWriterLockName, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) throw_errno("lock {}", pending.string());
  return lock;
}

}  // namespace

PendingCheckpoint::PendingCheckpoint(fs::path repository, fs::path directory, std::uint64_t id, UniqueFd lock)
    : repository_(std::move(repository)), directory_(std::move(directory)), id_(id), lock_(std::move(lock)) {}

PendingCheckpoint::PendingCheckpoint(PendingCheckpoint&& other) noexcept
    : repository_(std::move(other.repository_)),
      directory_(std::exchange(other.directory_, {})),
      id_(other.id_),
      lock_(std::move(other.lock_)) {}

PendingCheckpoint::~PendingCheckpoint() { abandon(); }

void PendingCheckpoint::seal() {
  check(!directory_.empty(), "a checkpoint is sealed once");
  const fs::path final_name = repository_ / id_name(id_);
  const NamesLock lock(repository_);
  fs::remove(directory_ / kWriterLockName);
  sync_directory(directory_);
  rename_new(directory_, final_name);
  try {
    sync_directory(repository_);
  } catch (...) {
    ::rename(final_name.c_str(), directory_.c_str());
    throw;
  }
  directory_.clear();
  lock_.reset();
}

void PendingCheckpoint::abandon() noexcept {
  if (directory_.empty()) return;
  remove_quietly(directory_);
  directory_.clear();
  lock_.reset();
}

Repository Repository::create(const fs::path& path) {
  std::error_code error;
  if (fs::exists(path, error) && !fs::is_directory(path, error)) {
    throw Error("{} is not a directory; name a directory for the checkpoints, which is created where it is missing",
                path.string());
  }
  const fs::path absolute = directory_path(path);
  if (!fs::exists(absolute, error)) {
    fs::create_directories(absolute.parent_path(), error);
    if (::mkdir(absolute.c_str(), 0700) != 0 && errno != EEXIST) {
      throw Error("the repository {} cannot be created: {}", path.string(), errno_text(errno));
    }
    sync_directory(absolute.parent_path());
  }
  const NamesLock writable(absolute);
  return Repository(absolute);
}

Repository Repository::open(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    throw Error("there is no repository {}; name the directory that was given to checkpoint --to", path.string());
  }
  return Repository(directory_path(path));
}

bool Repository::was_written_to() const {
  std::error_code error;
  return fs::exists(path_ / kLockName, error);
}

PendingCheckpoint Repository::begin() {
  const NamesLock lock(path_);
  remove_leftovers();
  const std::uint64_t id = next_id();
  const fs::path directory = path_ / (std::string(kPendingPrefix) + id_name(id));
  if (::mkdir(directory.c_str(), 0700) != 0)
    throw Error("the repository {} cannot be written: {}", path_.string(), errno_text(errno));
  try {
    return {path_, directory, id, create_writer_lock(directory)};
  } catch (...) {
    remove_quietly(directory);
    throw;
  }
}

void Repository::remove_leftovers() {
  std::vector<fs::path> leftovers;
  for_each_name(path_, [&](const std::string& name) {
    const bool dead = id_after(kPendingPrefix, name) && writer_is_dead(path_ / name);
    if (dead || id_after(kDeletedPrefix, name)) leftovers.push_back(path_ / name);
  });
  for (const fs::path& leftover : leftovers) remove_quietly(leftover);
}

std::uint64_t Repository::next_id() const {
  std::uint64_t last = 0;
  for_each_name(path_, [&](const std::string& name) {
    for (const std::string_view prefix : {std::string_view(), kPendingPrefix, kDeletedPrefix, kLastIdPrefix}) {
      last = std::max(last, id_after(prefix, name).value_or(0));
    }
  });
  return last + 1;
}

std::vector<std::uint64_t> Repository::ids() const {
  std::vector<std::uint64_t> ids;
  for_each_name(path_, [&](const std::string& name) {
    if (const auto id = id_of(name)) ids.push_back(*id);
  });
  std::ranges::sort(ids);
  return ids;
}

std::uint64_t Repository::resolve(std::optional<std::uint64_t> id) const {
  const auto all = ids();
  if (all.empty()) throw Error("{} holds no checkpoint", path_.string());
  if (!id) return all.back();
  if (!std::ranges::binary_search(all, *id))
    throw Error("{} holds no checkpoint {}; it holds {} to {}", path_.string(), *id, all.front(), all.back());
  return *id;
}

fs::path Repository::directory_of(std::uint64_t id) const { return path_ / id_name(id); }

void Repository::remove(std::uint64_t id) {
  resolve(id);
  const fs::path doomed = path_ / (std::string(kDeletedPrefix) + id_name(id));
  {
    const NamesLock lock(path_);
    remember_last_id(id);
    rename_new(directory_of(id), doomed);
    sync_directory(path_);
  }
  remove_quietly(doomed);
}

// So that an id is never used twice, whatever was deleted. Checkpoints that are still there speak for
// themselves.
void Repository::remember_last_id(std::uint64_t id) {
  std::vector<fs::path> older;
  std::uint64_t last = 0;
  for_each_name(path_, [&](const std::string& name) {
    const auto marked = id_after(kLastIdPrefix, name);
    if (!marked) return;
    last = std::max(last, *marked);
    if (*marked < id) older.push_back(path_ / name);
  });
  if (last >= id) return;
  open_file(path_ / (std::string(kLastIdPrefix) + id_name(id)), O_WRONLY | O_CREAT, 0600);
  for (const fs::path& path : older) remove_quietly(path);
}

}  // namespace tintype
