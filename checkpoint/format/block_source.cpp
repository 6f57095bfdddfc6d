// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/format/block_source.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "vmm/base/error.h"
#include "vmm/base/overflow.h"

namespace tintype {

void BlockSource::runs_in(std::size_t number, std::vector<Run>& into) const {
  into.clear();
  const Extent& whole = extent(number);
  for (auto run = next_run(whole.first_block); run && run->first_block < whole.end_block();
       run = next_run(run->end_block())) {
    if (run->extent == number) into.push_back(*run);
  }
}

void BlockSource::read_blocks(std::uint64_t first_block, std::span<std::byte> into) const {
  const std::uint64_t count = into.size() / kBlockSize, end_block = first_block + count;
  check(into.size() % kBlockSize == 0 && range_fits(first_block, count, blocks()), "wanted blocks lie inside the part");
  if (into.empty()) return;
  std::vector<Run> runs;
  std::uint64_t zero_from = first_block;
  const auto place = [&](std::uint64_t first, std::uint64_t end) {
    return into.subspan((first - first_block) * kBlockSize, (end - first) * kBlockSize);
  };
  const auto zero_until = [&](std::uint64_t end) {
    if (end > zero_from) std::ranges::fill(place(zero_from, end), std::byte{0});
  };
  for (auto run = next_run(first_block); run && run->first_block < end_block; run = next_run(run->end_block())) {
    zero_until(run->first_block);
    zero_from = std::min(run->end_block(), end_block);
    runs.push_back(*run);
  }
  zero_until(end_block);
  std::ranges::stable_sort(runs, {}, &Run::extent);

  std::unique_ptr<std::byte[]> buffer;
  const Extent* held = nullptr;
  for (const Run& run : runs) {
    const Extent& whole = extent(run.extent);
    const std::uint64_t first = std::max(run.first_block, first_block), end = std::min(run.end_block(), end_block);
    if (end - first == whole.blocks) {  // all of it, to where it belongs
      read_extent(run.extent, place(first, end));
      continue;
    }
    if (held != &whole) {
      buffer = std::make_unique_for_overwrite<std::byte[]>(whole.data_bytes());
      read_extent(run.extent, {buffer.get(), whole.data_bytes()});
      held = &whole;
    }
    std::memcpy(place(first, end).data(), buffer.get() + (first - whole.first_block) * kBlockSize,
                (end - first) * kBlockSize);
  }
}

}  // namespace tintype
