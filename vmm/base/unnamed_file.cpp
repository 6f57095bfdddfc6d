// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/unnamed_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <cstdio>
#include <cstdlib>

#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {

namespace {

namespace fs = std::filesystem;

/// What file systems say that do not know O_TMPFILE (open(2)).
bool means_no_tmpfile(int error_number) {
  return error_number == EOPNOTSUPP || error_number == EISDIR || error_number == EINVAL;
}

}  // namespace

std::string UnnamedFile::hidden_pattern(const fs::path& directory) {
  return (directory / kHiddenPrefix).string() + "XXXXXX";
}

UnnamedFile::UnnamedFile(fs::path directory, bool has_tmpfile)
    : directory_(directory.empty() ? fs::path(".") : std::move(directory)) {
  if (!has_tmpfile || !open_without_name()) open_hidden();
}

bool UnnamedFile::open_without_name() {
  fd_.reset(::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd_) return true;
  if (means_no_tmpfile(errno)) return false;
  throw_errno("create a file in {}", directory_.string());
}

void UnnamedFile::open_hidden() {
  std::string name = hidden_pattern(directory_);
  fd_.reset(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd_) throw_errno("create a file in {}", directory_.string());
  hidden_ = name;
}

UnnamedFile::~UnnamedFile() {
  if (!hidden_.empty()) ::unlink(hidden_.c_str());
}

bool UnnamedFile::link_as(const fs::path& path) {
  // A link by descriptor alone (AT_EMPTY_PATH) needs a capability; this way does not.
  const std::string from = hidden_.empty() ? fmt::format("/proc/self/fd/{}", fd_.get()) : hidden_.string();
  if (::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
  if (errno != EEXIST) throw_errno("name a new file {}", path.string());
  return false;
}

void UnnamedFile::replace(const fs::path& path) {
  if (hidden_.empty() && link_as(path)) return;
  // No call puts a file without a name into another's place: for a moment it has a hidden one.
  while (hidden_.empty()) {
    std::string name = hidden_pattern(directory_);
    const UniqueFd free_name(::mkostemp(name.data(), O_CLOEXEC));
    if (!free_name) throw_errno("create a file in {}", directory_.string());
    ::unlink(name.c_str());
    if (link_as(name)) hidden_ = name;
  }
  if (::rename(hidden_.c_str(), path.c_str()) != 0) throw_errno("rename {} to {}", hidden_.string(), path.string());
  hidden_.clear();
}

namespace {

/// Ext4 may have no journal, and ext2 has the same number: where there is one, a thread of the kernel writes it.
bool has_ext4_journal(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return false;
  const auto device = fmt::format("/sys/dev/block/{}:{}", major(info.st_dev), minor(info.st_dev));
  const fs::path name = fs::read_symlink(device).filename();
  return !read_text_file("/sys/fs/ext4" / name / "journal_task").starts_with("<none>");
}

}  // namespace

bool journals_metadata(int fd) noexcept try {
  constexpr std::uint32_t kXfs = 0x58465342;  // XFS_SUPER_MAGIC, which linux/magic.h of Debian 12 lacks
  struct statfs info {};
  if (::fstatfs(fd, &info) != 0) return false;
  switch (static_cast<std::uint32_t>(info.f_type)) {
    case EXT4_SUPER_MAGIC:
      return has_ext4_journal(fd);
    case kXfs:
    case BTRFS_SUPER_MAGIC:
    case TMPFS_MAGIC:
      return true;
    default:
      return false;
  }
} catch (const std::exception&) {  // sysfs does not say
  return false;
}

}  // namespace tintype
