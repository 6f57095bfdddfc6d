// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/disk_copy.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "checkpoint/capture/copy_buffers.h"
#include "vmm/base/overflow.h"

namespace tintype {

namespace {

constexpr int kOldIoLimitMs = 60'000;

/// Of what was written, perhaps with zeros (a discard may be of the whole disk): asking what holds data costs less than
/// reading it.
constexpr std::uint64_t kMuch = 1 << 20;

using Stored = std::shared_ptr<std::atomic<std::uint64_t>>;

/// Bytes of a buffer from `from` on, to their place on the disk.
void put(Destination& destination, const std::string& id, std::uint64_t position, std::size_t from, std::size_t bytes,
         const CopyBuffers::Buffer& buffer, const Stored& stored) {
  destination.put([=](CheckpointTarget& target) {
    *stored += target.disk_part(id).append(position / kBlockSize, buffer->subspan(from, bytes)).stored_bytes;
  });
}

void put_zeros(Destination& destination, const std::string& id, std::uint64_t position, std::uint64_t end) {
  destination.put([=](CheckpointTarget& target) {
    target.disk_part(id).append_zeros(position / kBlockSize, align_up(end - position, kBlockSize) / kBlockSize);
  });
}

void finish(Destination& destination, const std::string& id) {
  destination.put_alone([=](CheckpointTarget& target) { target.disk_part(id).finish(); });
}

/// Where the disk may hold data again, at or after `position` and by whole blocks; at most `end`.
std::uint64_t end_of_zeros(FrozenDisk& disk, std::uint64_t position, std::uint64_t end) {
  const auto data = disk.next_data(position);
  return data ? std::clamp(align_down(data->offset, kBlockSize), position, end) : end;
}

/// The first place at or after `position` where the disk or what it was holds anything; its end where neither does.
std::uint64_t next_data(FrozenDisk& disk, const BlockSource& before, std::uint64_t position) {
  const auto now = disk.next_data(position);
  const auto then = before.next_run(position / kBlockSize);
  const std::uint64_t first = std::min(now ? std::max(now->offset, position) : disk.size(),
                                       then ? std::max(then->first_block * kBlockSize, position) : disk.size());
  return align_down(first, kBlockSize);
}

/// Each run of blocks in which the two differ, by its bytes.
template <typename Visit>
void for_each_difference(std::span<const std::byte> a, std::span<const std::byte> b, const Visit& visit) {
  std::size_t from = 0;
  bool differs = false;
  for (std::size_t at = 0; at < a.size(); at += kBlockSize) {
    const std::size_t length = std::min<std::size_t>(kBlockSize, a.size() - at);
    const bool same = std::memcmp(a.data() + at, b.data() + at, length) == 0;
    if (same && differs) visit(from, at - from);
    if (!same && !differs) from = at;
    differs = !same;
  }
  if (differs) visit(from, a.size() - from);
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
      if (only_changes && end - position >= kMuch) {
        const std::uint64_t data = end_of_zeros(disk, position, end);
        if (data > position) put_zeros(destination, id, std::exchange(position, data), data);
        if (position == end) break;
      }
      const CopyBuffers::Buffer buffer = buffers.take();
      const std::size_t bytes = std::min(buffer->size(), end - position);
      disk.read(position, buffer->first(bytes));
      put(destination, id, position, 0, bytes, buffer, stored);
      position += bytes;
      if (progress) progress({id, position, disk.size()});
    }
    if (position >= disk.size()) break;
  }
  finish(destination, id);
  return stored;
}

std::shared_ptr<const std::atomic<std::uint64_t>> copy_disk_differences(const std::string& id, FrozenDisk& disk,
                                                                        const BlockSource& before,
                                                                        Destination& destination,
                                                                        const Cancellation& cancellation,
                                                                        const ProgressSink& progress) {
  disk.wait_for_old_io(kOldIoLimitMs, [&] { cancellation.throw_if_requested(); });
  CopyBuffers buffers;
  const auto stored = std::make_shared<std::atomic<std::uint64_t>>(0);
  std::vector<std::byte> then;
  for (std::uint64_t position = next_data(disk, before, 0); position < disk.size();) {
    const CopyBuffers::Buffer buffer = buffers.take();
    const std::size_t bytes = std::min(buffer->size(), disk.size() - position);
    disk.read(position, buffer->first(bytes));
    then.resize(align_up(bytes, kBlockSize));
    before.read_blocks(position / kBlockSize, then);
    for_each_difference(buffer->first(bytes), then, [&](std::size_t from, std::size_t length) {
      put(destination, id, position + from, from, length, buffer, stored);
    });
    cancellation.throw_if_requested();
    if (progress) progress({id, position + bytes, disk.size()});
    position = position + bytes < disk.size() ? next_data(disk, before, position + bytes) : disk.size();
  }
  finish(destination, id);
  return stored;
}

}  // namespace tintype
