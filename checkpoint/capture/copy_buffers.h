// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace tintype {

/// Room for copies on their way to the destination, one chunk each. There are as many as were ever out at the same
/// time.
class CopyBuffers {
 public:
  /// Comes back by itself when the last who holds it lets go, whatever has become of this object and on any thread.
  using Buffer = std::shared_ptr<const std::span<std::byte>>;

  CopyBuffers();
  Buffer take();
  /// Gives the host back all but so many of those that are here.
  void keep(std::size_t count) noexcept;

 private:
  struct Shelf;
  std::shared_ptr<Shelf> shelf_;
};

}  // namespace tintype
