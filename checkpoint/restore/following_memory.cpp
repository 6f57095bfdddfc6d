// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/restore/following_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/format/load_part.h"
#include "checkpoint/format/part_chain.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

constexpr std::uint64_t kLittleBytes = 64 << 20;  ///< read and written in some tens of milliseconds
constexpr std::uint64_t kManyPages = 512;         ///< given back to the host rather than written over

/// What was changed since the last link, which is not looked into; nothing where one of them holds everything.
std::optional<std::vector<std::unique_ptr<PartReader>>> changes_in(std::span<const ChainLink> chain) {
  if (chain.size() == 1) return std::vector<std::unique_ptr<PartReader>>();
  auto parts = open_parts(chain.first(chain.size() - 1), checkpoint_files::kMemoryName);
  if (!parts.back()->incremental()) return std::nullopt;
  return parts;
}

std::uint64_t bytes_of(std::span<const std::unique_ptr<PartReader>> parts) {
  std::uint64_t bytes = 0;
  for (const auto& part : parts)
    for (const Extent& extent : part->extents()) bytes += extent.blocks * kBlockSize;
  return bytes;
}

}  // namespace

bool FollowingMemory::follow(const CheckpointStore& store, std::uint64_t id, Effort effort,
                             const ProgressSink& progress) {
  std::string wanted;
  std::optional<Parts> parts;
  if (!identity_.empty()) {
    read_in_motion(store, [&] {
      const Chain chain =
          read_chain(store, id, [this](const ChainLink& link) { return link.manifest->identity != identity_; });
      wanted = chain.front().manifest->identity;
      parts = chain.back().manifest->identity == identity_ ? changes_in(chain) : std::nullopt;
    });
  }
  if (effort == Effort::kLittle && (!parts || bytes_of(*parts) > kLittleBytes)) return false;
  if (!parts) {
    load(store, id, progress);
    return true;
  }
  identity_.clear();  // until all of it is there
  apply(*parts);
  identity_ = std::move(wanted);
  return true;
}

void FollowingMemory::load(const CheckpointStore& store, std::uint64_t id, const ProgressSink& progress) {
  identity_.clear();
  std::string wanted;
  std::unique_ptr<BlockSource> source;
  read_in_motion(store, [&] {
    const Chain chain = read_chain(store, id);
    wanted = chain.front().manifest->identity;
    source = open_source(chain, checkpoint_files::kMemoryName);
  });
  clear_all();
  const unsigned threads = std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
  load_part(
      *source, [this](std::uint64_t page) { return place_of(page); }, threads, progress);
  identity_ = std::move(wanted);
}

/// Each block as the newest part that has it says.
void FollowingMemory::apply(const Parts& parts) {
  std::vector<const PartReader*> readers;
  std::vector<std::pair<const PartReader*, const Extent*>> extents;
  for (const auto& part : parts) {
    readers.push_back(part.get());
    for (const Extent& extent : part->extents()) extents.emplace_back(part.get(), &extent);
  }
  auto runs = resolve_parts(readers);
  std::ranges::stable_sort(runs, {}, &ResolvedRun::extent);
  std::size_t in_buffer = extents.size();
  for (const ResolvedRun& run : runs) {
    const auto& [part, extent] = extents[run.extent];
    if (run.zero) {
      clear(run.first_block, run.blocks);
      continue;
    }
    if (std::exchange(in_buffer, run.extent) != run.extent) {
      buffer_.resize(extent->data_bytes());
      part->read_extent(*extent, buffer_);
    }
    put(run.first_block, std::span<const std::byte>(buffer_).subspan(
                             (run.first_block - extent->first_block) * kBlockSize, run.blocks * kBlockSize));
  }
}

/// From this page to the end of its region; empty where there is none such.
std::span<std::byte> FollowingMemory::place_of(std::uint64_t page) const noexcept {
  for (const MemoryRegion& region : memory_.regions()) {
    const std::uint64_t offset = (page - region.first_page) * kPageSize;
    if (page >= region.first_page && offset < region.size) return {region.host + offset, region.size - offset};
  }
  return {};
}

void FollowingMemory::put(std::uint64_t page, std::span<const std::byte> data) {
  while (!data.empty()) {
    const auto place = place_of(page);
    if (place.empty()) throw ImageError("the checkpoint holds page {} of memory, which is not there", page);
    const std::size_t count = std::min(place.size(), data.size());
    std::memcpy(place.data(), data.data(), count);
    data = data.subspan(count);
    page += count / kPageSize;
  }
}

void FollowingMemory::clear(std::uint64_t page, std::uint64_t pages) {
  while (pages != 0) {
    const auto place = place_of(page);
    if (place.empty()) throw ImageError("the checkpoint holds page {} of memory, which is not there", page);
    const std::uint64_t count = std::min(place.size() / kPageSize, pages);
    const bool given_back = count >= kManyPages && ::madvise(place.data(), count * kPageSize, MADV_DONTNEED) == 0;
    if (!given_back) std::memset(place.data(), 0, count * kPageSize);
    page += count;
    pages -= count;
  }
}

void FollowingMemory::clear_all() {
  for (const MemoryRegion& region : memory_.regions()) {
    if (::madvise(region.host, region.size, MADV_DONTNEED) != 0) throw_errno("madvise of guest memory");
  }
}

}  // namespace tintype
