// SPDX-License-Identifier: Apache-2.0
#include "devices/console_log.h"

#include <algorithm>

namespace tintype {

void ConsoleLog::append(std::uint8_t byte) noexcept {
  {
    const std::lock_guard lock(mutex_);
    bytes_[end_ % kCapacity] = byte;
    ++end_;
  }
  bell_.ring();
}

ConsoleLog::Piece ConsoleLog::read(std::uint64_t from, std::size_t most) const {
  const std::lock_guard lock(mutex_);
  const std::uint64_t oldest = end_ - std::min<std::uint64_t>(end_, kCapacity);
  Piece piece{std::min(std::max(from, oldest), end_), {}};
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(end_ - piece.start, most));
  piece.bytes.resize(count);
  const auto first = static_cast<std::size_t>(piece.start % kCapacity);
  const std::size_t before_the_seam = std::min(count, kCapacity - first);
  std::copy_n(bytes_.get() + first, before_the_seam, piece.bytes.begin());
  std::copy_n(bytes_.get(), count - before_the_seam,
              piece.bytes.begin() + static_cast<std::ptrdiff_t>(before_the_seam));
  return piece;
}

std::uint64_t ConsoleLog::end() const noexcept {
  const std::lock_guard lock(mutex_);
  return end_;
}

std::string ConsoleLog::tail(std::size_t most) const {
  const std::uint64_t last = end();
  const std::uint64_t from = last - std::min<std::uint64_t>(last, most);
  std::string text = read(from, most).bytes;
  const auto line = text.find('\n');
  if (from > 0 && line + 1 < text.size()) text.erase(0, line + 1);
  return text;
}

}  // namespace tintype
