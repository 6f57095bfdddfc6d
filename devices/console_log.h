// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "vmm/base/news_bell.h"

namespace tintype {

/// The last 256 KiB that the guest printed, whatever its serial line is connected to: for whoever looks in later, or
/// follows. Each byte has a number, counted from the machine's start. Any thread.
class ConsoleLog {
 public:
  static constexpr std::size_t kCapacity = 256 << 10;

  struct Piece {
    std::uint64_t start = 0;  ///< number of the first byte; later than asked for where those before are gone
    std::string bytes;
  };

  void append(std::uint8_t byte) noexcept;
  /// At most `most` bytes from number `from` on; none where there is no more yet.
  Piece read(std::uint64_t from, std::size_t most) const;
  /// Number of the next byte.
  std::uint64_t end() const noexcept;
  /// The last bytes, beginning with a line where there are several: at most `most`.
  std::string tail(std::size_t most) const;

  NewsBell& bell() noexcept { return bell_; }

 private:
  const std::unique_ptr<std::uint8_t[]> bytes_ = std::make_unique_for_overwrite<std::uint8_t[]>(kCapacity);
  mutable std::mutex mutex_;  ///< guards bytes_ and end_
  std::uint64_t end_ = 0;
  NewsBell bell_;
};

}  // namespace tintype
