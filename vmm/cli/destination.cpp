// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/destination.h"

#include <fcntl.h>
#include <unistd.h>

#include <type_traits>

#include "devices/block/image_mark.h"
#include "devices/block/redo_log_format.h"
#include "vmm/base/error.h"
#include "vmm/base/image_note.h"
#include "vmm/base/unique_fd.h"

namespace tintype {

namespace {

namespace fs = std::filesystem;

void check_no_redo_log(int fd, const fs::path& file) {
  std::remove_const_t<decltype(log_format::kMagic)> begins{};
  if (::pread(fd, begins.data(), begins.size(), 0) != static_cast<ssize_t>(begins.size())) return;
  if (begins == log_format::kMagic)
    throw Error("{} is a redo log, with updates of a disk image: name another file", file.string());
}

void check_no_waiting_updates(int fd, const fs::path& file) {
  const auto mark = read_image_mark(fd);
  if (!mark || mark->is_users_word()) return;
  throw Error(
      "{} is a disk image with updates that wait in redo logs, which would be lost with it: name another file, or put "
      "them into it with `tintype disk commit {}` first",
      file.string(), file.string());
}

}  // namespace

void check_may_be_replaced(const fs::path& file) {
  std::error_code missing;
  if (!fs::is_regular_file(file, missing) && !fs::is_block_file(file, missing)) return;
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return;
  struct flock lock {};
  lock.l_type = F_WRLCK;
  if (::fcntl(fd.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
    throw Error("{} is in use by a machine: name another file, or stop that machine first", file.string());
  const auto suspended = read_suspend_note(fd.get());
  if (suspended && suspended->counts()) {
    throw Error("{} is a disk of the suspended machine in {}: name another file", file.string(),
                suspended->state.parent_path().string());
  }
  check_no_redo_log(fd.get(), file);
  check_no_waiting_updates(fd.get(), file);
}

void check_outside(const std::filesystem::path& repository, const std::filesystem::path& file) {
  std::error_code missing;
  const auto inside = std::filesystem::weakly_canonical(file, missing)
                          .lexically_relative(std::filesystem::weakly_canonical(repository, missing));
  if (!inside.empty() && *inside.begin() != "..")
    throw Error("{} is in the repository, which holds checkpoints only: name a file elsewhere", file.string());
}

}  // namespace tintype
