// SPDX-License-Identifier: Apache-2.0
#include "vmm/memory/guest_memory.h"

#include <sys/mman.h>

#include <algorithm>

#include "vmm/base/error.h"

namespace tintype {

namespace {

std::uint64_t checked_size(std::uint64_t size) {
  if (size < kMinimumMemory || size > kMaximumMemory || size % kPageSize != 0) {
    throw Error("a machine cannot have {} bytes of memory: give a multiple of 4 KiB between 1M and 1024G", size);
  }
  return size;
}

}  // namespace

GuestMemory::GuestMemory(std::uint64_t size) : size_(checked_size(size)), dirty_(size / kPageSize) {
  add_region(Gpa(0), std::min(size, kHoleStart));
  if (size > kHoleStart) add_region(Gpa(kHoleEnd), size - kHoleStart);
}

void GuestMemory::add_region(Gpa start, std::uint64_t size) {
  const std::uint64_t first_page = regions_.empty() ? 0 : regions_.back().size / kPageSize;
  Mapping& mapping = mappings_.emplace_back(Mapping::anonymous(size, kHugePageSize));
  mapping.advise(MADV_HUGEPAGE);  // a hint: where the host has no huge pages, small ones do
  regions_.push_back({start, size, mapping.data(), first_page});
}

std::byte* GuestMemory::place_of(Gpa start, std::uint64_t length) const noexcept {
  for (const MemoryRegion& region : regions_) {
    if (start < region.start) continue;
    const std::uint64_t offset = start.value() - region.start.value();
    if (offset < region.size && range_fits(offset, length, region.size)) return region.host + offset;
  }
  return nullptr;
}

std::byte* GuestMemory::find(Gpa start, std::uint64_t length) const noexcept {
  std::byte* host = place_of(start, length);
  AbsentMemory* absent = absent_.load(std::memory_order_acquire);
  if (absent == nullptr || host == nullptr || absent->bring(host, length)) return host;
  return nullptr;
}

bool GuestMemory::read(Gpa from, std::span<std::byte> into) const noexcept {
  const std::byte* host = find(from, into.size());
  if (host == nullptr) return false;
  std::memcpy(into.data(), host, into.size());
  return true;
}

bool GuestMemory::write(Gpa to, std::span<const std::byte> from) noexcept {
  std::byte* host = find(to, from.size());
  if (host == nullptr) return false;
  std::memcpy(host, from.data(), from.size());
  mark_dirty(to, from.size());
  return true;
}

std::span<const std::byte> GuestMemory::view(Gpa start, std::uint64_t length) const noexcept {
  const std::byte* host = find(start, length);
  return host == nullptr ? std::span<const std::byte>{} : std::span(host, length);
}

std::span<std::byte> GuestMemory::writable_view(Gpa start, std::uint64_t length) noexcept {
  std::byte* host = find(start, length);
  return host == nullptr ? std::span<std::byte>{} : std::span(host, length);
}

void GuestMemory::mark_dirty(Gpa start, std::uint64_t length) noexcept {
  const auto first = page_number(start);
  if (!first || length == 0) return;
  dirty_.mark(*first, (start.value() % kPageSize + length - 1) / kPageSize + 1);
}

std::optional<std::uint64_t> GuestMemory::page_number(Gpa address) const noexcept {
  for (const MemoryRegion& region : regions_) {
    if (address < region.start || address.value() - region.start.value() >= region.size) continue;
    return region.first_page + (address.value() - region.start.value()) / kPageSize;
  }
  return std::nullopt;
}

const MemoryRegion& GuestMemory::region_of_page(std::uint64_t page) const noexcept {
  check(page < pages(), "a page number lies inside guest memory");
  return regions_.size() > 1 && page >= regions_[1].first_page ? regions_[1] : regions_[0];
}

Gpa GuestMemory::page_address(std::uint64_t page) const noexcept {
  const MemoryRegion& region = region_of_page(page);
  return Gpa(region.start.value() + (page - region.first_page) * kPageSize);
}

std::byte* GuestMemory::page_host(std::uint64_t page) const noexcept {
  const MemoryRegion& region = region_of_page(page);
  return region.host + (page - region.first_page) * kPageSize;
}

}  // namespace tintype
