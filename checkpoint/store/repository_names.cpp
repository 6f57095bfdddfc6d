// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/repository_names.h"

#include <fcntl.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <thread>

#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype::repository_names {
namespace {

namespace fs = std::filesystem;

constexpr auto kLockPatience = std::chrono::seconds(10);

}  // namespace

std::string id_name(std::uint64_t id) { return fmt::format("{:08}", id); }

std::optional<std::uint64_t> id_of(std::string_view name) {
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
  if (error != std::errc() || end != name.data() + name.size() || id == 0 || name != id_name(id)) return std::nullopt;
  return id;
}

std::optional<std::uint64_t> id_after(std::string_view prefix, std::string_view name) {
  return name.starts_with(prefix) ? id_of(name.substr(prefix.size())) : std::nullopt;
}

std::string prefixed(std::string_view prefix, std::uint64_t id) { return std::string(prefix) + id_name(id); }

void for_each_name(const fs::path& directory, const std::function<void(const std::string&)>& function) {
  std::error_code error;
  fs::directory_iterator entry(directory, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error))
    function(entry->path().filename().string());
  if (error) throw Error("{} cannot be read: {}", directory.string(), error.message());
}

NamesLock::NamesLock(const fs::path& repository) {
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

void rename_new(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
  if (errno == EINVAL || errno == ENOSYS) {  // a file system without RENAME_NOREPLACE; we hold the lock on names
    if (!fs::exists(to) && ::rename(from.c_str(), to.c_str()) == 0) return;
  }
  throw_errno("rename {} to {}", from.string(), to.string());
}

UniqueFd create_with_writer_lock(const fs::path& directory, std::uint64_t parent) {
  if (::mkdir(directory.c_str(), 0700) != 0)
    throw Error("the repository {} cannot be written: {}", directory.parent_path().string(), errno_text(errno));
  try {
    const fs::path path = directory / kWriterLockName;
    UniqueFd lock = open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) throw_errno("lock {}", path.string());
    const std::string text = id_name(parent);
    write_exactly(lock.get(), std::as_bytes(std::span(text)), 0, path.string());
    return lock;
  } catch (...) {
    remove_quietly(directory);
    throw;
  }
}

bool writer_is_dead(const fs::path& pending) {
  const UniqueFd lock(::open((pending / kWriterLockName).c_str(), O_RDWR | O_CLOEXEC));
  return !lock || ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0;
}

std::uint64_t writers_parent(const fs::path& pending) {
  constexpr std::size_t kLongestId = 20;
  return id_of(read_text_file(pending / kWriterLockName, kLongestId)).value_or(0);
}

void remove_quietly(const fs::path& path) noexcept {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

}  // namespace tintype::repository_names
