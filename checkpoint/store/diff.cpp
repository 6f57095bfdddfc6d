// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/diff.h"

#include <algorithm>
#include <cstring>

#include "checkpoint/store/checkpoint_reader.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

constexpr std::uint64_t kBlocksAtOnce = 1024;  // 4 MiB of each

/// The first block from here on that holds data in either; `end` where none does.
std::uint64_t next_data(const BlockSource& a, const BlockSource& b, std::uint64_t block, std::uint64_t end) {
  for (const BlockSource* source : {&a, &b}) {
    const auto run = source->next_run(block);
    if (run) end = std::min(end, std::max(run->first_block, block));
  }
  return end;
}

void add(PartDiff& diff, std::uint64_t block) {
  ++diff.changed;
  if (!diff.runs.empty() && diff.runs.back().first_block + diff.runs.back().blocks == block)
    ++diff.runs.back().blocks;
  else
    diff.runs.push_back({block, 1});
}

/// Opened, and held to be all of a machine.
CheckpointReader open_whole(const std::filesystem::path& repository, std::uint64_t id) {
  CheckpointReader reader(repository, id);
  reader.require(Portion::kAll);
  return reader;
}

void diff_disks(const CheckpointReader& a, const CheckpointReader& b, CheckpointDiff& diff,
                const ProgressSink& progress) {
  for (const DiskDescription& disk : diff.a.machine.disks) {
    const BlockSource* const before = a.disk(disk.id);
    const BlockSource* const after = b.disk(disk.id);
    if (after == nullptr || before->content_bytes() != after->content_bytes())
      diff.unlike.push_back(disk.id);
    else
      diff.disks.push_back(diff_sources(*before, *after, progress));
  }
  for (const DiskDescription& disk : diff.b.machine.disks)
    if (a.disk(disk.id) == nullptr) diff.unlike.push_back(disk.id);
}

}  // namespace

PartDiff diff_sources(const BlockSource& a, const BlockSource& b, const ProgressSink& progress) {
  PartDiff diff{a.name(), a.blocks(), 0, {}};
  std::vector<std::byte> before(kBlocksAtOnce * kBlockSize), after(before.size());
  for (std::uint64_t block = next_data(a, b, 0, diff.blocks); block < diff.blocks;) {
    const std::uint64_t count = std::min(kBlocksAtOnce, diff.blocks - block);
    const std::uint64_t bytes = count * kBlockSize;
    a.read_blocks(block, std::span(before).first(bytes));
    b.read_blocks(block, std::span(after).first(bytes));
    for (std::uint64_t i = 0; i < count; ++i)
      if (std::memcmp(&before[i * kBlockSize], &after[i * kBlockSize], kBlockSize) != 0) add(diff, block + i);
    block = next_data(a, b, block + count, diff.blocks);
    if (progress) progress({"diff", std::min(block, diff.blocks) * kBlockSize, diff.blocks * kBlockSize});
  }
  return diff;
}

CheckpointDiff diff_checkpoints(const std::filesystem::path& repository, std::uint64_t a, std::uint64_t b,
                                const ProgressSink& progress) {
  const CheckpointReader before = open_whole(repository, a), after = open_whole(repository, b);
  if (before.memory().content_bytes() != after.memory().content_bytes())
    throw Error("checkpoints {} and {} are of machines with {} and {} bytes of memory, which cannot be compared", a, b,
                before.memory().content_bytes(), after.memory().content_bytes());
  CheckpointDiff diff{
      before.manifest(), after.manifest(), diff_sources(before.memory(), after.memory(), progress), {}, {}};
  diff_disks(before, after, diff, progress);
  return diff;
}

}  // namespace tintype
