// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace tintype {

/// A set of pages of guest memory, by their numbers: a bit a page. Runs are [first, first + count).
class PageSet {
 public:
  using Visit = std::function<void(std::uint64_t first, std::uint64_t count)>;

  explicit PageSet(std::uint64_t pages) : bits_((pages + 63) / 64) {}

  bool contains(std::uint64_t page) const noexcept { return (bits_[page / 64] >> (page % 64) & 1) != 0; }
  bool any(std::uint64_t first, std::uint64_t count) const noexcept;
  bool all(std::uint64_t first, std::uint64_t count) const noexcept;
  std::uint64_t count() const noexcept;
  std::uint64_t count(std::uint64_t first, std::uint64_t count) const noexcept;
  /// Each run of pages of the set inside of the given one.
  void for_each_run(std::uint64_t first, std::uint64_t count, const Visit& visit) const;

  void add(std::uint64_t first, std::uint64_t count) noexcept;
  void remove(std::uint64_t first, std::uint64_t count) noexcept;
  /// What the other set has of these pages.
  void add(const PageSet& other, std::uint64_t first, std::uint64_t count) noexcept;
  void add(const PageSet& other) noexcept;
  void clear() noexcept;

 private:
  std::vector<std::uint64_t> bits_;
};

}  // namespace tintype
