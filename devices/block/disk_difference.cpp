// SPDX-License-Identifier: Apache-2.0
#include "devices/block/disk_difference.h"

#include <algorithm>
#include <cstring>

#include "devices/block/commit.h"

namespace tintype {

namespace {

constexpr std::uint64_t kPiece = 1 << 20;  ///< bytes that are read at a time
constexpr std::uint64_t kGrain = 4096;     ///< and compared

/// The next piece in which either may hold data.
std::optional<std::uint64_t> next_piece(DiskContents& a, DiskContents& b, std::uint64_t offset) {
  const auto of_a = a.next_data(offset), of_b = b.next_data(offset);
  if (!of_a && !of_b) return std::nullopt;
  constexpr std::uint64_t kNever = ~std::uint64_t{0};
  const std::uint64_t first = std::min(of_a ? of_a->offset : kNever, of_b ? of_b->offset : kNever);
  return std::max(offset, first / kPiece * kPiece);
}

/// Runs of grains that differ, as bytes [start, end) of the piece.
template <typename Found>
void for_each_difference(std::span<const std::byte> a, std::span<const std::byte> b, const Found& found) {
  std::uint64_t start = 0;
  bool inside = false;
  for (std::uint64_t at = 0; at < a.size(); at += kGrain) {
    const bool differs = std::memcmp(a.data() + at, b.data() + at, std::min(kGrain, a.size() - at)) != 0;
    if (differs && !inside) start = at;
    if (!differs && inside) found(start, at);
    inside = differs;
  }
  if (inside) found(start, a.size());
}

}  // namespace

bool write_difference(DiskCore& core, DiskContents& now, DiskContents& wanted, RedoLog* log) {
  std::vector<std::byte> is(kPiece), shall(kPiece);
  bool differs = false;
  for (auto piece = next_piece(now, wanted, 0); piece && *piece < now.size();
       piece = next_piece(now, wanted, *piece + kPiece)) {
    const std::uint64_t bytes = std::min(kPiece, now.size() - *piece);
    now.read(*piece, std::span(is).first(bytes));
    wanted.read(*piece, std::span(shall).first(bytes));
    for_each_difference(std::span(is).first(bytes), std::span(shall).first(bytes),
                        [&](std::uint64_t start, std::uint64_t end) {
                          differs = true;
                          if (log == nullptr) return;
                          const SectorRange range{(*piece + start) / kSectorSize, (*piece + end) / kSectorSize};
                          write_to_log(core, *log, range, std::span(shall).subspan(start, end - start));
                        });
  }
  return differs;
}

}  // namespace tintype
