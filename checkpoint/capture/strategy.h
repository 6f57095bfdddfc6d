// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "checkpoint/image/part_writer.h"
#include "checkpoint/report.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// How memory of one instant is got out of a running machine: one object a capture. Calls come in this order, from one
/// thread; release() comes always, whatever failed before, and afterwards the guest's memory is as free as it was.
class MemoryCapture {
 public:
  virtual ~MemoryCapture() = default;
  /// Guest running: whatever may take time or fail.
  virtual void prepare() = 0;
  /// Machine paused: from here on memory of this instant is safe.
  virtual void protect() = 0;
  /// True: copy_out() needs the machine still paused.
  virtual bool copies_while_paused() const noexcept = 0;
  /// Writes memory as it was at protect().
  virtual void copy_out(PartWriter& part, const ProgressSink& progress) = 0;
  virtual void release() noexcept = 0;
  /// After copy_out().
  virtual MemoryReport report() const = 0;
};

/// The capture for a strategy; kAuto takes the best that this host can do and says which in `chosen`. Throws
/// tintype::Error where the strategy is not offered.
std::unique_ptr<MemoryCapture> make_capture(const CheckpointOptions& options, GuestMemory& memory, Strategy& chosen);

/// The capture area where the user names none: half of memory, at most 1 GiB and a quarter of what the host has free.
std::uint64_t default_capture_area(std::uint64_t memory_size);

}  // namespace tintype
