// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/space.h"

#include <sys/statvfs.h>

#include "checkpoint/format/part_format.h"

namespace tintype {

std::uint64_t free_bytes(const std::filesystem::path& directory) {
  struct statvfs info {};
  if (::statvfs(directory.c_str(), &info) != 0) throw_errno("statvfs {}", directory.string());
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

void require_space(const std::filesystem::path& directory, std::uint64_t bytes, std::string_view what) {
  const std::uint64_t available = free_bytes(directory);
  if (available >= bytes) return;
  throw DestinationFull("{} has {} MiB free, and {} may need {} MiB; make room, or choose another destination",
                        directory.string(), available >> 20, what, (bytes >> 20) + 1);
}

void throw_write_error(const std::filesystem::path& path, int error_number) {
  if (error_number == ENOSPC || error_number == EDQUOT) {
    throw DestinationFull("there is no room for {}; make room on its file system, or choose another place",
                          path.string());
  }
  throw Error("{} cannot be written: {}", path.string(), errno_text(error_number));
}

}  // namespace tintype
