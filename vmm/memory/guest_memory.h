// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "vmm/base/mapping.h"
#include "vmm/memory/dirty_bitmap.h"
#include "vmm/memory/gpa.h"

namespace tintype {

/// Guest memory below 4 GiB ends here at the latest; device windows and the interrupt controllers lie in the hole above
/// it.
inline constexpr std::uint64_t kHoleStart = 0xC0000000;
inline constexpr std::uint64_t kHoleEnd = 0x100000000;

inline constexpr std::uint64_t kMinimumMemory = 1 << 20;
inline constexpr std::uint64_t kMaximumMemory = 1ULL << 40;

/// One contiguous piece of guest memory. `host` is 2 MiB aligned.
struct MemoryRegion {
  Gpa start;
  std::uint64_t size = 0;
  std::byte* host = nullptr;
  std::uint64_t first_page = 0;  ///< number of its first page in the dirty bitmap and in checkpoints
};

/// Brings in what of guest memory has no contents yet, where a machine runs before all of its memory has been read.
class AbsentMemory {
 public:
  virtual ~AbsentMemory() = default;
  /// Waits until this range has its contents, in this program and not in the kernel. False where it will never have
  /// them: then nobody may use it. Any thread but those that bring memory in.
  virtual bool bring(const std::byte* host, std::uint64_t length) noexcept = 0;
};

/// The guest's memory: anonymous private mappings, 2 MiB aligned and advised to be huge, with a hole below 4 GiB.
///
/// Every access is checked in one place (find()), because addresses and lengths come from the guest; what does not lie
/// wholly inside one region fails as a value. Every write marks the dirty bitmap. Safe to use from several threads, as
/// real memory is: whether two accesses may race is between their callers.
class GuestMemory {
 public:
  /// `size` in bytes, a multiple of 4 KiB from 1 MiB to 1 TiB; throws tintype::Error otherwise.
  explicit GuestMemory(std::uint64_t size);

  std::uint64_t size() const noexcept { return size_; }
  std::uint64_t pages() const noexcept { return size_ / kPageSize; }
  std::span<const MemoryRegion> regions() const noexcept { return regions_; }

  /// Whoever reads or writes waits for it first; null (as at the beginning): all is there. It must live until nobody
  /// does any more.
  void set_absent(AbsentMemory* absent) noexcept { absent_.store(absent, std::memory_order_release); }

  [[nodiscard]] bool contains(Gpa start, std::uint64_t length) const noexcept {
    return place_of(start, length) != nullptr;
  }

  /// Copies out of guest memory. False, and nothing copied, where the range is not memory.
  [[nodiscard]] bool read(Gpa from, std::span<std::byte> into) const noexcept;
  /// Copies into guest memory and marks the pages dirty. False, and nothing copied, where the range is not memory.
  [[nodiscard]] bool write(Gpa to, std::span<const std::byte> from) noexcept;

  /// One plain value, copied once, so that it can be checked and used without being read again.
  template <typename T>
  requires std::is_trivially_copyable_v<T>
  [[nodiscard]] std::optional<T> load(Gpa from) const noexcept {
    T value;
    if (!read(from, std::as_writable_bytes(std::span(&value, 1)))) return std::nullopt;
    return value;
  }
  template <typename T>
  requires std::is_trivially_copyable_v<T>
  [[nodiscard]] bool store(Gpa to, const T& value) noexcept { return write(to, std::as_bytes(std::span(&value, 1))); }

  /// Atomic access for ring indices; `T` is an unsigned integer and the address must be aligned to it.
  template <typename T>
  [[nodiscard]] std::optional<T> load_acquire(Gpa from) const noexcept {
    const std::byte* host = find(from, sizeof(T));
    if (host == nullptr || from.value() % sizeof(T) != 0) return std::nullopt;
    return std::atomic_ref(*reinterpret_cast<T*>(const_cast<std::byte*>(host))).load(std::memory_order_acquire);
  }
  template <typename T>
  [[nodiscard]] bool store_release(Gpa to, T value) noexcept {
    std::byte* host = find(to, sizeof(T));
    if (host == nullptr || to.value() % sizeof(T) != 0) return false;
    std::atomic_ref(*reinterpret_cast<T*>(host)).store(value, std::memory_order_release);
    mark_dirty(to, sizeof(T));
    return true;
  }

  /// The host's view of a range, for scatter-gather I/O; empty where the range is not memory, or of length 0. Whoever
  /// writes through a writable view calls mark_dirty() when the data has landed.
  [[nodiscard]] std::span<const std::byte> view(Gpa start, std::uint64_t length) const noexcept;
  [[nodiscard]] std::span<std::byte> writable_view(Gpa start, std::uint64_t length) noexcept;
  void mark_dirty(Gpa start, std::uint64_t length) noexcept;

  /// Number of the page that holds `address` (0 is the first page of the first region); nothing in the hole or past the
  /// end.
  std::optional<std::uint64_t> page_number(Gpa address) const noexcept;
  /// The other way: the guest physical address of a page by its number, which must be below pages().
  Gpa page_address(std::uint64_t page) const noexcept;
  std::byte* page_host(std::uint64_t page) const noexcept;

  DirtyBitmap& dirty() noexcept { return dirty_; }

 private:
  void add_region(Gpa start, std::uint64_t size);
  /// The one function that does bounds and overflow.
  std::byte* place_of(Gpa start, std::uint64_t length) const noexcept;
  /// The same, and what lies there has its contents.
  std::byte* find(Gpa start, std::uint64_t length) const noexcept;
  const MemoryRegion& region_of_page(std::uint64_t page) const noexcept;

  std::uint64_t size_;
  DirtyBitmap dirty_;
  std::atomic<AbsentMemory*> absent_ = nullptr;
  std::vector<Mapping> mappings_;
  std::vector<MemoryRegion> regions_;
};

}  // namespace tintype
