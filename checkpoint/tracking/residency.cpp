// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/residency.h"

#include <fcntl.h>

#include <sys/ioctl.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/base/thread_sanitizer.h"

namespace tintype {

namespace {

// Linux 6.7, include/uapi/linux/fs.h; Debian 12's headers are older.
struct PageRegion {
  std::uint64_t start, end, categories;
};
struct PagemapScan {
  std::uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  std::uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
static_assert(sizeof(PagemapScan) == 96);
constexpr std::uint64_t kPageIsPresent = 1 << 3;
constexpr std::uint64_t kPageIsSwapped = 1 << 4;
#define TINTYPE_PAGEMAP_SCAN _IOWR('f', 16, PagemapScan)

// Bits of an entry of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst).
constexpr std::uint64_t kEntryPresent = 1ULL << 63;
constexpr std::uint64_t kEntrySwapped = 1ULL << 62;

constexpr std::size_t kBufferWords = 96 << 10;  // 32768 regions, or entries of 384 MiB of memory

/// Bits [from, from + count) of a word.
constexpr std::uint64_t bits_of(std::uint64_t from, std::uint64_t count) {
  return (count == 64 ? ~0ULL : (1ULL << count) - 1) << from;
}

std::uint64_t pages_of(const ChunkTable& chunks) {
  return chunks.size() == 0 ? 0 : chunks[chunks.size() - 1].first_page + chunks[chunks.size() - 1].pages;
}

}  // namespace

Residency::Residency(const ChunkTable& chunks)
    : chunks_(chunks),
      pagemap_(open_file("/proc/self/pagemap", O_RDONLY)),
      bits_((pages_of(chunks) + 63) / 64),
      buffer_(kBufferWords) {
  find_gaps();
}

void Residency::scan(const Came& came) {
  update(came);
  find_gaps();
}

void Residency::update(const Came& came) {
  for (const Gap& gap : gaps_) look_at(gap, came);
}

void Residency::find_gaps() {
  gaps_.clear();
  for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    if (all(chunk)) continue;
    const bool follows = !gaps_.empty() && gaps_.back().first_chunk + gaps_.back().chunks == chunk &&
                         chunks_[chunk - 1].host + chunks_[chunk - 1].pages * kPageSize == chunks_[chunk].host;
    if (!follows) gaps_.push_back({chunk, 0});
    ++gaps_.back().chunks;
  }
}

void Residency::look_at(const Gap& gap, const Came& came) {
  const Chunk& first = chunks_[gap.first_chunk];
  const Chunk& last = chunks_[gap.first_chunk + gap.chunks - 1];
  const std::uint64_t pages = last.first_page + last.pages - first.first_page;
  if (!has_ioctl_ || !look_by_ioctl(first, pages, came)) look_by_reading(first, pages, came);
}

bool Residency::look_by_ioctl(const Chunk& first, std::uint64_t pages, const Came& came) {
  const auto base = reinterpret_cast<std::uint64_t>(first.host);
  PagemapScan scan{};
  scan.size = sizeof scan;
  scan.end = base + pages * kPageSize;
  scan.vec = reinterpret_cast<std::uint64_t>(buffer_.data());
  scan.vec_len = buffer_.size() * sizeof(std::uint64_t) / sizeof(PageRegion);
  scan.category_anyof_mask = kPageIsPresent | kPageIsSwapped;
  for (std::uint64_t at = base; at < scan.end; at = scan.walk_end) {
    scan.start = at;
    const int count = ::ioctl(pagemap_.get(), TINTYPE_PAGEMAP_SCAN, &scan);
    if (count < 0 && (errno == ENOTTY || errno == EINVAL) && at == base) {
      has_ioctl_ = false;
      return false;
    }
    if (count < 0 && errno != EINTR) throw_errno("PAGEMAP_SCAN of {} bytes", scan.end - at);
    const auto* found = reinterpret_cast<const PageRegion*>(buffer_.data());
    for (int i = 0; i < count; ++i) {
      set(first.first_page + (found[i].start - base) / kPageSize, (found[i].end - found[i].start) / kPageSize, came);
    }
  }
  return true;
}

void Residency::look_by_reading(const Chunk& first, std::uint64_t pages, const Came& came) {
  const std::uint64_t first_entry = reinterpret_cast<std::uint64_t>(first.host) / kPageSize;
  for (std::uint64_t done = 0; done < pages;) {
    const std::uint64_t count = std::min<std::uint64_t>(pages - done, buffer_.size());
    const std::span entries(buffer_.data(), count);
    read_exactly(pagemap_.get(), std::as_writable_bytes(entries), (first_entry + done) * sizeof(std::uint64_t),
                 "/proc/self/pagemap");
    for (std::uint64_t i = 0; i < count; ++i) {
      if ((entries[i] & (kEntryPresent | kEntrySwapped)) != 0) set(first.first_page + done + i, 1, came);
    }
    done += count;
  }
}

// Chunks are found by division: regions are whole chunks but for their ends, where the next one's first page follows.
void Residency::set(std::uint64_t first_page, std::uint64_t count, const Came& came) noexcept {
  const std::uint64_t end = first_page + count;
  for (std::uint64_t page = first_page; page < end;) {
    const std::uint64_t here = std::min<std::uint64_t>(64 - page % 64, end - page);
    const std::uint64_t missing = bits_of(page % 64, here) & ~bits_[page / 64];
    if (missing != 0) {
      bits_[page / 64] |= missing;
      came(chunks_.of_page(page));
      if (chunks_.of_page(page + here - 1) != chunks_.of_page(page)) came(chunks_.of_page(page + here - 1));
    }
    page += here;
  }
}

void Residency::for_each_run(std::uint64_t first_page, std::uint64_t count,
                             const std::function<void(std::uint64_t, std::uint64_t)>& visit) const {
  const std::uint64_t end = first_page + count;
  for (std::uint64_t page = first_page; page < end;) {
    while (page < end && !resident(page)) ++page;
    const std::uint64_t start = page;
    while (page < end && resident(page))
      page += page % 64 == 0 && bits_[page / 64] == ~0ULL && page + 64 <= end ? 64 : 1;
    if (page > start) visit(start, page - start);
  }
}

void Residency::copy(const Chunk& chunk, std::span<std::byte> into) const noexcept {
  for_each_run(chunk.first_page, chunk.pages, [&](std::uint64_t page, std::uint64_t count) {
    const std::uint64_t offset = (page - chunk.first_page) * kPageSize;
    const OrderedByKernel ordered;  // the guest's writes wait for this copy; what the host is reading is undefined
    std::memcpy(into.data() + offset, chunk.host + offset, count * kPageSize);
  });
}

std::uint64_t Residency::count() const noexcept {
  std::uint64_t count = 0;
  for (const std::uint64_t word : bits_) count += static_cast<std::uint64_t>(std::popcount(word));
  return count;
}

bool Residency::any(std::size_t chunk) const noexcept {
  for (std::uint64_t page = chunks_[chunk].first_page, end = page + chunks_[chunk].pages; page < end;) {
    const std::uint64_t here = std::min<std::uint64_t>(64 - page % 64, end - page);
    if ((bits_[page / 64] & bits_of(page % 64, here)) != 0) return true;
    page += here;
  }
  return false;
}

bool Residency::all(std::size_t chunk) const noexcept {
  for (std::uint64_t page = chunks_[chunk].first_page, end = page + chunks_[chunk].pages; page < end;) {
    const std::uint64_t here = std::min<std::uint64_t>(64 - page % 64, end - page);
    const std::uint64_t bits = bits_of(page % 64, here);
    if ((bits_[page / 64] & bits) != bits) return false;
    page += here;
  }
  return true;
}

}  // namespace tintype
