// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/destination.h"

#include <fcntl.h>

#include "vmm/base/error.h"
#include "vmm/base/image_note.h"
#include "vmm/base/unique_fd.h"

namespace tintype {

void check_not_in_use(const std::filesystem::path& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct flock lock {};
  lock.l_type = F_WRLCK;
  if (fd && ::fcntl(fd.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
    throw Error("{} is in use by a machine: name another file, or stop that machine first", file.string());
  const auto suspended = fd ? read_suspend_note(fd.get()) : std::nullopt;
  if (suspended && suspended->counts()) {
    throw Error("{} is a disk of the suspended machine in {}: name another file", file.string(),
                suspended->state.parent_path().string());
  }
}

void check_outside(const std::filesystem::path& repository, const std::filesystem::path& file) {
  std::error_code missing;
  const auto inside = std::filesystem::weakly_canonical(file, missing)
                          .lexically_relative(std::filesystem::weakly_canonical(repository, missing));
  if (!inside.empty() && *inside.begin() != "..")
    throw Error("{} is in the repository, which holds checkpoints only: name a file elsewhere", file.string());
}

}  // namespace tintype
