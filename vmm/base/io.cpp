// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/io.h"

#include <fcntl.h>

#include <sys/stat.h>

#include "vmm/base/error.h"

namespace tintype {

UniqueFd open_file(const std::filesystem::path& path, int flags, unsigned mode) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd) throw_errno("open {}", path.string());
  return fd;
}

void read_exactly(int fd, std::span<std::byte> into, std::uint64_t offset, const std::string& what) {
  while (!into.empty()) {
    const auto count = ::pread(fd, into.data(), into.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno("read {} bytes at {} of {}", into.size(), offset, what);
    if (count == 0) throw_errno_text(EIO, fmt::format("{} ends at {}, {} bytes too early", what, offset, into.size()));
    into = into.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
}

void write_exactly(int fd, std::span<const std::byte> from, std::uint64_t offset, const std::string& what) {
  while (!from.empty()) {
    const auto count = ::pwrite(fd, from.data(), from.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno("write {} bytes at {} of {}", from.size(), offset, what);
    if (count == 0) throw_errno_text(ENOSPC, fmt::format("write at {} of {}", offset, what));
    from = from.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
}

std::uint64_t file_size(int fd, const std::string& what) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) throw_errno("fstat {}", what);
  return static_cast<std::uint64_t>(info.st_size);
}

void sync_file(int fd, const std::string& what) {
  if (::fsync(fd) != 0) throw_errno("fsync {}", what);
}

// Of a file system without it nobody is worse off.
void start_writeback(int fd) noexcept { (void)::sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); }

bool wait_for_writeback(int fd) noexcept {
  constexpr unsigned kAll = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  return ::sync_file_range(fd, 0, 0, kAll) == 0;
}

void sync_directory(const std::filesystem::path& directory) {
  const UniqueFd fd = open_file(directory, O_RDONLY | O_DIRECTORY);
  sync_file(fd.get(), directory.string());
}

std::string read_text_file(const std::filesystem::path& path, std::size_t limit) {
  const UniqueFd fd = open_file(path, O_RDONLY);
  std::string text;
  char buffer[4096];
  for (;;) {
    const auto count = ::read(fd.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno("read {}", path.string());
    if (count == 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
    if (text.size() > limit)
      throw Error("{} is larger than {} bytes, which is too large for this kind of file", path.string(), limit);
  }
}

}  // namespace tintype
