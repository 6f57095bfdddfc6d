// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/disk_copy.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "vmm/base/overflow.h"

namespace tintype {

namespace {

constexpr std::uint64_t kCopyBytes = 1 << 20;
constexpr int kOldIoLimitMs = 60'000;

using Buffer = std::shared_ptr<std::vector<std::byte>>;

std::uint64_t put(Destination& destination, const std::string& id, std::uint64_t position, std::size_t bytes,
                  const Buffer& buffer) {
  const auto stored = std::make_shared<std::uint64_t>(0);
  destination.run([=](CheckpointTarget& target) {
    *stored = target.disk_part(id).append(position / kBlockSize, std::span(*buffer).first(bytes)).stored_bytes;
  });
  return *stored;
}

bool builds_on_parent(Destination& destination, const std::string& id) {
  const auto incremental = std::make_shared<bool>(false);
  destination.run([=](CheckpointTarget& target) { *incremental = target.disk_part(id).incremental(); });
  return *incremental;
}

}  // namespace

std::uint64_t copy_disk(const std::string& id, FrozenDisk& disk, Destination& destination,
                        const Cancellation& cancellation, const ProgressSink& progress) {
  disk.wait_for_old_io(kOldIoLimitMs, [&] { cancellation.throw_if_requested(); });
  const bool only_changes = builds_on_parent(destination, id);
  const Buffer buffer = std::make_shared<std::vector<std::byte>>(kCopyBytes);
  std::uint64_t stored = 0;
  std::uint64_t position = 0;  // always a whole block, so that no block is written twice
  while (const auto range = only_changes ? disk.next_change(position) : disk.next_data(position)) {
    const std::uint64_t end = std::min(disk.size(), align_up(range->offset + range->length, kBlockSize));
    position = std::max(position, align_down(range->offset, kBlockSize));
    while (position < end) {
      const std::size_t bytes = std::min(kCopyBytes, end - position);
      disk.read(position, std::span(*buffer).first(bytes));
      stored += put(destination, id, position, bytes, buffer);
      position += bytes;
      if (progress) progress({id, position, disk.size()});
    }
    if (position >= disk.size()) break;
  }
  destination.run([=](CheckpointTarget& target) { target.disk_part(id).finish(); });
  return stored;
}

}  // namespace tintype
