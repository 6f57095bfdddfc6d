// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/boot/layout.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

class ImageFile;

/// One thing that was placed in guest memory, so that an exit report can say what an address belongs to.
struct LoadedPart {
  std::string image;                ///< path of the file it came from; empty for what Tintype made
  std::string name;                 ///< "segment 1", "initrd", "page tables", ...
  std::uint64_t start = 0;          ///< guest physical
  std::uint64_t size = 0;           ///< in memory, a segment's bss included
  std::uint64_t file_offset = 0;    ///< of its first byte in `image`
  std::uint64_t file_size = 0;      ///< how much of it came from the file
  std::uint64_t virtual_start = 0;  ///< the address it was linked for, where the format says one; else `start`
};

/// The part that holds a guest physical address, or null.
const LoadedPart* find_part(std::span<const LoadedPart> parts, std::uint64_t address) noexcept;

/// Puts the pieces of a boot into guest memory and sees to it that no two overlap. All addresses come from
/// files that nobody vouches for: what does not lie in memory, or lies on something else, throws
/// tintype::Error.
class Placement {
 public:
  explicit Placement(GuestMemory& memory) noexcept : memory_(memory) {}

  /// Claims a range without writing to it (it is zero already: the machine is new).
  void claim(LoadedPart part);
  /// Claims areas that put() will fill. Done before the kernel is loaded, so that it is the kernel that is
  /// refused.
  void reserve(std::initializer_list<BootArea> areas);
  /// Fills a reserved area from its beginning; the caller knows that the bytes fit.
  void put(const BootArea& area, std::span<const std::byte> bytes);
  /// Claims `part`, and reads `part.file_size` bytes of the file straight into it.
  void load(const ImageFile& file, LoadedPart part);
  /// The highest page-aligned place for `size` bytes in [from, to) that is memory and free.
  std::optional<std::uint64_t> highest_free(std::uint64_t size, std::uint64_t from, std::uint64_t to) const noexcept;
  /// The lowest one.
  std::optional<std::uint64_t> lowest_free(std::uint64_t size, std::uint64_t from, std::uint64_t to) const noexcept;

  bool is_free(std::uint64_t start, std::uint64_t size) const noexcept { return overlapping(start, size) == nullptr; }
  std::uint64_t memory_size() const noexcept { return memory_.size(); }
  std::vector<LoadedPart> take_parts() noexcept { return std::move(parts_); }

 private:
  const LoadedPart* overlapping(std::uint64_t start, std::uint64_t size) const noexcept;
  void check_in_memory(const LoadedPart& part) const;

  GuestMemory& memory_;
  std::vector<LoadedPart> parts_;
};

/// The bytes of a plain struct.
template <typename T>
std::span<const std::byte> bytes_of(const T& value) noexcept {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace tintype
