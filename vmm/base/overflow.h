// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <optional>

namespace tintype {

/// Sum of two unsigned numbers, or nothing where it does not fit.
template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_add(T a, T b) noexcept {
  T sum{};
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

/// Product of two unsigned numbers, or nothing where it does not fit.
template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_multiply(T a, T b) noexcept {
  T product{};
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// True where [offset, offset + length) lies inside [0, limit).
template <std::unsigned_integral T>
[[nodiscard]] constexpr bool range_fits(T offset, T length, T limit) noexcept {
  return length <= limit && offset <= limit - length;
}

/// `value` rounded up to a multiple of `alignment`, a power of two. The caller knows that it does not overflow.
template <std::unsigned_integral T>
[[nodiscard]] constexpr T align_up(T value, T alignment) noexcept {
  return (value + alignment - 1) & ~(alignment - 1);
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr T align_down(T value, T alignment) noexcept {
  return value & ~(alignment - 1);
}

}  // namespace tintype
