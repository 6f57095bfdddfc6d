// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "vmm/memory/guest_memory.h"

namespace tintype {

/// A piece of guest memory that is protected, preserved, released and written as a whole: one huge page, or less where
/// a region ends.
struct Chunk {
  std::uint64_t first_page = 0;
  std::uint64_t pages = 0;
  std::byte* host = nullptr;
  std::span<std::byte> bytes() const noexcept { return {host, pages * kPageSize}; }
};

/// Guest memory cut into chunks, in the order of page numbers.
class ChunkTable {
 public:
  explicit ChunkTable(const GuestMemory& memory);

  std::size_t size() const noexcept { return chunks_.size(); }
  const Chunk& operator[](std::size_t index) const noexcept { return chunks_[index]; }
  /// Of all chunks.
  std::uint64_t pages() const noexcept;
  /// The chunk's memory ends where the next one's begins.
  bool follow_each_other(std::size_t chunk) const noexcept;
  /// The memory of chunks that follow each other.
  std::span<std::byte> bytes(std::size_t first, std::size_t count) const noexcept;
  /// Each region's chunks: the first one, and how many.
  void for_each_region(const std::function<void(std::size_t first, std::size_t count)>& visit) const;
  /// The chunk that holds a host address; nothing where it is not guest memory.
  std::optional<std::size_t> find(std::uintptr_t host_address) const noexcept;
  /// The chunk that holds a page, by its number.
  std::size_t of_page(std::uint64_t page) const noexcept;

 private:
  struct Span {
    std::uintptr_t start = 0, end = 0;
    std::size_t first_chunk = 0;
    std::uint64_t first_page = 0;
  };
  std::vector<Chunk> chunks_;
  std::vector<Span> regions_;
};

}  // namespace tintype
