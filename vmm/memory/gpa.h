// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <optional>

#include "vmm/base/overflow.h"

namespace tintype {

inline constexpr std::uint64_t kPageSize = 4096;
inline constexpr std::uint64_t kHugePageSize = 2 << 20;

/// A guest physical address. It has no operator+ on purpose: sums are checked, because a guest chooses the operands.
class Gpa {
 public:
  constexpr Gpa() noexcept = default;
  constexpr explicit Gpa(std::uint64_t value) noexcept : value_(value) {}
  constexpr std::uint64_t value() const noexcept { return value_; }
  [[nodiscard]] constexpr std::optional<Gpa> plus(std::uint64_t offset) const noexcept {
    const auto sum = checked_add(value_, offset);
    return sum ? std::optional(Gpa(*sum)) : std::nullopt;
  }
  constexpr auto operator<=>(const Gpa&) const noexcept = default;

 private:
  std::uint64_t value_ = 0;
};

}  // namespace tintype
