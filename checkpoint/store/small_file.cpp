// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/small_file.h"

#include <fcntl.h>

#include "checkpoint/format/part_format.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {

void write_small_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  try {
    const UniqueFd fd = open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    write_exactly(fd.get(), bytes, 0, path.string());
    sync_file(fd.get(), path.string());
  } catch (const std::system_error& error) {
    if (error.code().value() == ENOSPC || error.code().value() == EDQUOT) {
      throw DestinationFull(
          "the destination is full: {} could not be written; make room, or choose another destination", path.string());
    }
    throw;
  }
}

}  // namespace tintype
