// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace tintype {

/// Where the contents of a chunk go that a write is about to destroy, while a checkpoint still wants them. Called by
/// the thread that handles write faults.
class OldContents {
 public:
  /// Room for one chunk.
  struct Slot {
    std::size_t number = 0;
    std::uint64_t chunk = 0;  ///< whose old contents it holds
  };

  virtual ~OldContents() = default;
  /// Nothing where there is no room. With `may_wait` it waits until there is; nothing then means that nobody wants old
  /// contents any more.
  virtual std::optional<Slot> take(std::uint64_t chunk, bool may_wait) noexcept = 0;
  virtual std::span<std::byte> memory(const Slot& slot) const noexcept = 0;
  /// The slot is filled. Or it was taken in vain.
  virtual void put(const Slot& slot) noexcept = 0;
  virtual void give_back(const Slot& slot) noexcept = 0;
  /// Room enough to preserve what nobody has asked for yet.
  virtual bool mostly_free() const noexcept = 0;
};

}  // namespace tintype
