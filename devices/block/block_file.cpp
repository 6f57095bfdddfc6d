// SPDX-License-Identifier: Apache-2.0
#include "devices/block/block_file.h"

#include <unistd.h>

#include "vmm/base/error.h"

namespace tintype {

void BlockFile::note_sync(std::uint64_t written, int error_number) noexcept {
  if (error_number != 0) {
    sync_error_.store(error_number);
    return;
  }
  std::uint64_t before = synced_.load();
  while (before < written && !synced_.compare_exchange_weak(before, written)) {
  }
}

void BlockFile::sync() {
  const std::uint64_t covered = written();
  const int failed = ::fdatasync(fd()) == 0 ? 0 : errno;
  note_sync(covered, failed);
  if (sync_error() != 0) throw_errno_text(sync_error(), "fdatasync " + path_.string());
}

}  // namespace tintype
