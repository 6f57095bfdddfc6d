// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/disk_copy.h"

#include <algorithm>
#include <vector>

#include "vmm/base/overflow.h"

namespace tintype {

namespace {
constexpr std::uint64_t kCopyBytes = 1 << 20;
constexpr int kOldIoLimitMs = 60'000;
}  // namespace

std::uint64_t copy_disk(const std::string& id, FrozenDisk& disk, PartWriter& part, const ProgressSink& progress) {
  disk.wait_for_old_io(kOldIoLimitMs);
  std::vector<std::byte> buffer(kCopyBytes);
  std::uint64_t stored = 0;
  std::uint64_t position = 0;  // always a whole block, so that no block is written twice
  while (const auto range = disk.next_data(position)) {
    const std::uint64_t end = std::min(disk.size(), align_up(range->offset + range->length, kBlockSize));
    position = std::max(position, align_down(range->offset, kBlockSize));
    while (position < end) {
      const auto piece = std::span(buffer).first(std::min(kCopyBytes, end - position));
      disk.read(position, piece);
      stored += part.append(position / kBlockSize, piece).stored_bytes;
      position += piece.size();
      if (progress) progress({id, position, disk.size()});
    }
    if (position >= disk.size()) break;
  }
  return stored;
}

}  // namespace tintype
