// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/mman.h>

#include <memory>
#include <span>

#include "vmm/base/mapping.h"
#include "vmm/memory/gpa.h"

namespace tintype {

/// Room for a copy of one chunk on its way to the destination.
class CopyBuffer {
 public:
  /// Makes the room, and touches it; a new one where a destination that hangs still has the old one.
  void prepare();
  std::span<std::byte> bytes() const noexcept { return memory_->bytes(); }
  /// Whoever reads the bytes at his own pace holds on to this.
  std::shared_ptr<const void> owner() const noexcept { return memory_; }

 private:
  std::shared_ptr<Mapping> memory_;
};

inline void CopyBuffer::prepare() {
  if (memory_ && memory_.use_count() == 1) return;
  memory_ = std::make_shared<Mapping>(Mapping::anonymous(kHugePageSize, kHugePageSize));
  memory_->advise(MADV_DONTFORK);
  for (std::size_t at = 0; at < memory_->size(); at += kPageSize) memory_->data()[at] = std::byte{0};
}

}  // namespace tintype
