// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/directory_disk.h"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "vmm/base/error.h"
#include "vmm/base/unique_fd.h"

namespace tintype {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kBlock = 4096, kInode = 256;
constexpr std::uint64_t kRoom = 64 << 20;  // for what the guest writes; holes until it does

/// An upper bound of what the files take, their names and inodes with them. What cannot be read is mke2fs's to say.
std::uint64_t bytes_of(const fs::path& directory) {
  std::uint64_t bytes = 0;
  std::error_code ignored;
  for (auto entry = fs::recursive_directory_iterator(directory, ignored); entry != fs::recursive_directory_iterator();
       entry.increment(ignored)) {
    const std::uint64_t size = entry->is_regular_file(ignored) && !entry->is_symlink(ignored)
                                   ? static_cast<std::uint64_t>(entry->file_size(ignored))
                                   : 0;
    bytes += (size + kBlock - 1) / kBlock * kBlock + kInode + kBlock;
  }
  return bytes;
}

UniqueFd make_file(std::string& path) {
  UniqueFd file(::mkostemp(path.data(), O_CLOEXEC));
  if (!file)
    throw Error("no image of a directory can be made at {} ({}): name a directory of yours with --disk-dir", path,
                errno_text(errno));
  return file;
}

/// Runs it to its end; its complaints go to `complaints`. Its exit status.
int run(std::vector<std::string> words, int complaints) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, complaints, STDERR_FILENO);
  int child = 0;
  const int failure = ::posix_spawnp(&child, pointers.front(), &actions, nullptr, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return -failure;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

std::string last_line(int fd) {
  std::string text(4096, '\0');
  const auto got = ::pread(fd, text.data(), text.size(), 0);
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

void fill(const fs::path& directory, const std::string& image, int fd) {
  const std::uint64_t files = bytes_of(directory);
  const std::uint64_t size = (files + files / 8 + kRoom + kBlock - 1) / kBlock * kBlock;
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) throw_errno("make room for {}", image);
  const UniqueFd complaints(::memfd_create("complaints", MFD_CLOEXEC));
  if (!complaints) throw_errno("memfd_create");
  const int status = run({mke2fs_program(), "-q", "-F", "-t", "ext4", "-m", "0", "-E",
                          "lazy_itable_init=1,lazy_journal_init=1", "-d", directory.string(), image},
                         complaints.get());
  if (status == -ENOENT) throw Error("mke2fs is missing: install the package e2fsprogs");
  if (status != 0) throw Error("no disk can be made of {}: {}", directory.string(), last_line(complaints.get()));
}

fs::path place_for(const MachineConfig& config) {
  if (!config.disk_directory.empty()) return config.disk_directory;
  const char* chosen = std::getenv("TMPDIR");
  return chosen != nullptr && *chosen != '\0' ? chosen : "/var/tmp";  // /tmp may lie in memory
}

}  // namespace

std::string mke2fs_program() {
  for (const char* path : {"/usr/sbin/mke2fs", "/sbin/mke2fs"})
    if (::access(path, X_OK) == 0) return path;
  return "mke2fs";
}

std::optional<fs::path> directory_of(const DiskConfig& disk) {
  constexpr std::string_view kPrefix = "dir:";
  const std::string text = disk.image.string();
  if (!text.starts_with(kPrefix)) return std::nullopt;
  return text.substr(kPrefix.size());
}

DirectoryDisks::DirectoryDisks(MachineConfig& config) {
  for (std::size_t i = 0; i < config.disks.size(); ++i) {
    DiskConfig& disk = config.disks[i];
    const auto directory = directory_of(disk);
    if (!directory) continue;
    std::error_code unknown;
    if (!fs::is_directory(*directory, unknown)) throw Error("{} is no directory", directory->string());
    std::string image = place_for(config) / fmt::format("{}-disk{}-XXXXXX", config.name, i);
    const UniqueFd file = make_file(image);
    images_.emplace_back(image);
    try {
      fill(*directory, image, file.get());
    } catch (...) {
      ::unlink(image.c_str());
      throw;
    }
    disk.image = image;
    disk.made_of = *directory;
  }
}

DirectoryDisks::~DirectoryDisks() {
  for (const fs::path& image : images_) ::unlink(image.c_str());
}

}  // namespace tintype
