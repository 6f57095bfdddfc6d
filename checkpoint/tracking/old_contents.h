// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "vmm/base/event_fd.h"

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
  /// Nothing where there is no room now, or where nobody wants old contents any more.
  virtual std::optional<Slot> take(std::uint64_t chunk) noexcept = 0;
  /// Somebody stands still until there is room: the bell rings once when there is, or when nobody wants old contents
  /// any more. Where that is so already, the bell does not ring: whoever ends the checkpoint lets everybody go.
  virtual void ring_when_free(std::shared_ptr<EventFd> bell) noexcept = 0;
  virtual std::span<std::byte> memory(const Slot& slot) const noexcept = 0;
  /// The slot is filled. Or it was taken in vain.
  virtual void put(const Slot& slot) noexcept = 0;
  virtual void give_back(const Slot& slot) noexcept = 0;
  /// Room enough to preserve what nobody has asked for yet.
  virtual bool mostly_free() const noexcept = 0;
};

}  // namespace tintype
