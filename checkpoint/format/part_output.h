// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace tintype {

/// A file of a checkpoint as it is written, wherever it goes. Any thread may write to a place of its own. Everything
/// throws DestinationFull or tintype::Error.
class PartOutput {
 public:
  virtual ~PartOutput() = default;
  /// For messages: a path, or what else leads there.
  virtual std::string name() const = 0;
  /// Pieces of memory that hold still, one after the other; uses up the list.
  virtual void write(std::span<iovec> pieces, std::uint64_t offset) = 0;
  virtual void write(std::span<const std::byte> bytes, std::uint64_t offset) = 0;
  /// Room up to there at least, where some can be set aside. One thread at a time.
  virtual void reserve(std::uint64_t end, std::uint64_t step) = 0;
  /// Said first, where erase() will be called.
  virtual void expect_erasures() {}
  /// Makes it zeros.
  virtual void erase(std::uint64_t offset, std::uint64_t bytes) = 0;
  /// It ends there, and all of it up to there has been written.
  virtual void truncate(std::uint64_t end) = 0;
  /// Begins to make the data last; of several files all begin before the first is waited for.
  virtual void start_writeback() noexcept = 0;
  /// Waits until the data lasts; the file itself does only after sync().
  virtual void finish_writeback() = 0;
  virtual void sync() = 0;
};

}  // namespace tintype
