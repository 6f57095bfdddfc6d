// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/residency.h"

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

}  // namespace

Residency::Residency(const GuestMemory& memory)
    : memory_(memory),
      pagemap_(open_file("/proc/self/pagemap", O_RDONLY)),
      bits_((memory.pages() + 63) / 64),
      buffer_(kBufferWords) {}

void Residency::scan() {
  std::fill(bits_.begin(), bits_.end(), 0);
  for (const MemoryRegion& region : memory_.regions()) {
    if (!has_ioctl_ || !scan_by_ioctl(region)) scan_by_reading(region);
  }
}

bool Residency::scan_by_ioctl(const MemoryRegion& region) {
  const auto base = reinterpret_cast<std::uint64_t>(region.host);
  PagemapScan scan{};
  scan.size = sizeof scan;
  scan.end = base + region.size;
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
      set(region.first_page + (found[i].start - base) / kPageSize, (found[i].end - found[i].start) / kPageSize);
    }
  }
  return true;
}

void Residency::scan_by_reading(const MemoryRegion& region) {
  const std::uint64_t pages = region.size / kPageSize;
  const std::uint64_t first_entry = reinterpret_cast<std::uint64_t>(region.host) / kPageSize;
  for (std::uint64_t done = 0; done < pages;) {
    const std::uint64_t count = std::min<std::uint64_t>(pages - done, buffer_.size());
    const std::span entries(buffer_.data(), count);
    read_exactly(pagemap_.get(), std::as_writable_bytes(entries), (first_entry + done) * sizeof(std::uint64_t),
                 "/proc/self/pagemap");
    for (std::uint64_t i = 0; i < count; ++i) {
      if ((entries[i] & (kEntryPresent | kEntrySwapped)) != 0) set(region.first_page + done + i, 1);
    }
    done += count;
  }
}

void Residency::set(std::uint64_t first_page, std::uint64_t count) noexcept {
  std::uint64_t page = first_page;
  const std::uint64_t end = first_page + count;
  while (page < end) {
    const std::uint64_t bit = page % 64;
    const std::uint64_t here = std::min<std::uint64_t>(64 - bit, end - page);
    bits_[page / 64] |= (here == 64 ? ~0ULL : (1ULL << here) - 1) << bit;
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

std::vector<PageSink::Run> Residency::runs(const Chunk& chunk, std::span<const std::byte> contents) const {
  std::vector<PageSink::Run> runs;
  for_each_run(chunk.first_page, chunk.pages, [&](std::uint64_t page, std::uint64_t count) {
    runs.push_back({page, contents.subspan((page - chunk.first_page) * kPageSize, count * kPageSize)});
  });
  return runs;
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

bool Residency::any(std::uint64_t first_page, std::uint64_t count) const noexcept {
  for (std::uint64_t page = first_page; page < first_page + count; ++page) {
    if (resident(page)) return true;
  }
  return false;
}

}  // namespace tintype
