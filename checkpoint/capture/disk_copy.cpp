// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/disk_copy.h"

#include <algorithm>

#include "checkpoint/capture/copy_buffers.h"
#include "vmm/base/overflow.h"

namespace tintype {

namespace {

constexpr int kOldIoLimitMs = 60'000;

using Stored = std::shared_ptr<std::atomic<std::uint64_t>>;

void put(Destination& destination, const std::string& id, std::uint64_t position, std::size_t bytes,
         const CopyBuffers::Buffer& buffer, const Stored& stored) {
  destination.put([=](CheckpointTarget& target) {
    *stored += target.disk_part(id).append(position / kBlockSize, buffer->first(bytes)).stored_bytes;
  });
}

}  // namespace

std::shared_ptr<const std::atomic<std::uint64_t>> copy_disk(const std::string& id, FrozenDisk& disk, bool only_changes,
                                                            Destination& destination, const Cancellation& cancellation,
                                                            const ProgressSink& progress) {
  disk.wait_for_old_io(kOldIoLimitMs, [&] { cancellation.throw_if_requested(); });
  CopyBuffers buffers;
  const auto stored = std::make_shared<std::atomic<std::uint64_t>>(0);
  std::uint64_t position = 0;  // always a whole block, so that no block is written twice
  while (const auto range = only_changes ? disk.next_change(position) : disk.next_data(position)) {
    const std::uint64_t end = std::min(disk.size(), align_up(range->offset + range->length, kBlockSize));
    position = std::max(position, align_down(range->offset, kBlockSize));
    while (position < end) {
      const CopyBuffers::Buffer buffer = buffers.take();
      const std::size_t bytes = std::min(buffer->size(), end - position);
      disk.read(position, buffer->first(bytes));
      put(destination, id, position, bytes, buffer, stored);
      position += bytes;
      if (progress) progress({id, position, disk.size()});
    }
    if (position >= disk.size()) break;
  }
  destination.put_alone([=](CheckpointTarget& target) { target.disk_part(id).finish(); });
  return stored;
}

}  // namespace tintype
