// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/small_file.h"

#include <fcntl.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "checkpoint/format/part_format.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {

SmallFile::SmallFile(std::filesystem::path path, std::span<const std::byte> bytes) : path_(std::move(path)) {
  try {
    fd_ = open_file(path_, O_WRONLY | O_CREAT | O_EXCL, 0600);
    write_exactly(fd_.get(), bytes, 0, path_.string());
  } catch (const std::system_error&) {
    rethrow();
  }
  start_writeback(fd_.get());
}

void SmallFile::sync() {
  try {
    sync_file(fd_.get(), path_.string());
  } catch (const std::system_error&) {
    rethrow();
  }
}

/// What is being handled, in words that help where the device is full.
void SmallFile::rethrow() const {
  try {
    throw;
  } catch (const std::system_error& error) {
    if (error.code().value() != ENOSPC && error.code().value() != EDQUOT) throw;
  }
  throw DestinationFull("the destination is full: {} could not be written; make room, or choose another destination",
                        path_.string());
}

}  // namespace tintype
