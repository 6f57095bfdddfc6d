// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "checkpoint/capture/cancellation.h"
#include "checkpoint/capture/page_sink.h"
#include "checkpoint/format/report.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// How memory of one instant is got out of a running machine. One object a machine, used for one capture after the
/// other, so that what is costly to make is made once. Calls come in this order, from one thread; release() comes
/// always, whatever failed before, and afterwards the guest's memory is as free as it was.
class MemoryCapture {
 public:
  virtual ~MemoryCapture() = default;
  /// Guest running: whatever may take time or fail. `area_bytes` is what the user asks for, 0 where that is left to us.
  virtual void prepare(std::uint64_t area_bytes, const Cancellation& cancellation) = 0;
  /// Machine paused: from here on memory of this instant is safe.
  virtual void protect() = 0;
  /// True: copy_out() needs the machine still paused.
  virtual bool copies_while_paused() const noexcept = 0;
  /// Puts memory as it was at protect().
  virtual void copy_out(PageSink& sink) = 0;
  /// The guest, or one of its CPUs, stands still until the sink has taken more. Any thread.
  virtual bool guest_waits() const noexcept = 0;
  virtual void release() noexcept = 0;
  /// After copy_out(): faults and the like; what was written is the sink's to say.
  virtual MemoryReport report() const = 0;
};

/// The capture for a strategy, which is not kAuto. Throws tintype::Error where it is not offered.
std::unique_ptr<MemoryCapture> make_capture(Strategy strategy, GuestMemory& memory);
/// What kAuto means here: the best that this host can do.
Strategy best_strategy();

}  // namespace tintype
