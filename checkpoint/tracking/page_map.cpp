// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/page_map.h"

#include <fcntl.h>

#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>

#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/memory/gpa.h"

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
constexpr std::uint64_t kScanProtects = 1 << 0;    // PM_SCAN_WP_MATCHING
constexpr std::uint64_t kScanNeedsAsync = 1 << 1;  // PM_SCAN_CHECK_WPASYNC
constexpr std::uint64_t kPageIsWritten = 1 << 1;   // of absent pages too
constexpr std::uint64_t kPageIsPresent = 1 << 3;
constexpr std::uint64_t kPageIsSwapped = 1 << 4;
#define TINTYPE_PAGEMAP_SCAN _IOWR('f', 16, PagemapScan)

// Bits of an entry of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst).
constexpr std::uint64_t kEntryPresent = 1ULL << 63;
constexpr std::uint64_t kEntrySwapped = 1ULL << 62;

constexpr std::size_t kBufferWords = 96 << 10;  // 32768 regions, or entries of 384 MiB of memory

}  // namespace

struct PageMap::Query {
  std::uint64_t flags = 0, all_of = 0;  ///< and present, or in swap
};

PageMap::PageMap() : fd_(open_file("/proc/self/pagemap", O_RDONLY)), buffer_(new std::uint64_t[kBufferWords]) {}

void PageMap::find_present(std::span<const std::byte> range, const Found& found) {
  if (!has_ioctl_ || !scan(range, {}, found)) read(range, found);
}

void PageMap::take_written(std::span<const std::byte> range, const Found& found) {
  if (!scan(range, {kScanProtects | kScanNeedsAsync, kPageIsWritten}, found))
    throw_errno("PAGEMAP_SCAN of {} bytes for what was written", range.size());
}

/// False where the kernel does not know the call.
bool PageMap::scan(std::span<const std::byte> range, const Query& query, const Found& found) {
  const auto base = reinterpret_cast<std::uint64_t>(range.data());
  PagemapScan request{};
  request.size = sizeof request;
  request.flags = query.flags;
  request.end = base + range.size();
  request.vec = reinterpret_cast<std::uint64_t>(buffer_.get());
  request.vec_len = kBufferWords * sizeof(std::uint64_t) / sizeof(PageRegion);
  request.category_mask = query.all_of;
  request.category_anyof_mask = request.return_mask = kPageIsPresent | kPageIsSwapped;
  for (std::uint64_t at = base; at < request.end; at = request.walk_end) {
    request.start = at;
    const int count = ::ioctl(fd_.get(), TINTYPE_PAGEMAP_SCAN, &request);
    if (count < 0 && (errno == ENOTTY || errno == EINVAL) && at == base) {
      has_ioctl_ = false;
      return false;
    }
    if (count < 0) throw_errno("PAGEMAP_SCAN of {} bytes", request.end - at);
    const auto* regions = reinterpret_cast<const PageRegion*>(buffer_.get());
    for (int i = 0; i < count; ++i) found(regions[i].start - base, regions[i].end - regions[i].start);
  }
  return true;
}

void PageMap::read(std::span<const std::byte> range, const Found& found) {
  const std::uint64_t first_entry = reinterpret_cast<std::uint64_t>(range.data()) / kPageSize;
  const std::uint64_t pages = range.size() / kPageSize;
  for (std::uint64_t done = 0; done < pages;) {
    const std::uint64_t count = std::min<std::uint64_t>(pages - done, kBufferWords);
    const std::span entries(buffer_.get(), count);
    read_exactly(fd_.get(), std::as_writable_bytes(entries), (first_entry + done) * sizeof(std::uint64_t),
                 "/proc/self/pagemap");
    for (std::uint64_t i = 0; i < count; ++i) {
      if ((entries[i] & (kEntryPresent | kEntrySwapped)) != 0) found((done + i) * kPageSize, kPageSize);
    }
    done += count;
  }
}

}  // namespace tintype
