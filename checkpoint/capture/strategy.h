// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "checkpoint/capture/cancellation.h"
#include "checkpoint/capture/page_sink.h"
#include "checkpoint/format/report.h"
#include "checkpoint/tracking/memory_tracker.h"

namespace tintype {

class CaptureEngine;

struct CaptureRequest {
  std::uint64_t area_bytes = 0;  ///< of the capture area, as the user asks for it; 0: left to us
  bool everything = true;        ///< false: what was written since the last capture that was kept
};

/// How memory of one instant is got out of a running machine. One object a machine, used for one capture after the
/// other. Calls come in this order, from one thread; keep() or give_back() comes always, whatever failed before, and
/// afterwards nobody waits for memory.
class MemoryCapture {
 public:
  virtual ~MemoryCapture() = default;
  /// Guest running: whatever may take time or fail.
  virtual void prepare(const CaptureRequest& request, const Cancellation& cancellation) = 0;
  /// Guest running: copies what it can ahead of the pause.
  virtual void precopy(PageSink& sink) = 0;
  /// Machine paused: from here on memory of this instant is safe.
  virtual void protect() = 0;
  /// True: copy_out() needs the machine still paused.
  virtual bool copies_while_paused() const noexcept = 0;
  /// Puts memory as it was at protect().
  virtual void copy_out(PageSink& sink) = 0;
  /// The guest, or one of its CPUs, stands still until the sink has taken more. Any thread.
  virtual bool guest_waits() const noexcept = 0;
  /// The checkpoint is sealed: the next one may save only what is written from its instant on.
  virtual void keep() noexcept = 0;
  /// It is not: all that it was to save counts as written.
  virtual void give_back() noexcept = 0;
  /// After copy_out(): faults and the like; what was written is the sink's to say.
  virtual MemoryReport report() const = 0;
};

/// What a strategy needs of the host.
enum class Need : std::uint8_t {
  kNothing,  ///< what was written is known where the host lets us
  kKnow,     ///< that it is known what was written
  kHold,     ///< and that memory can be held still: write faults that wait for us
};

/// A line for each strategy. Another one takes a file, and a line here.
struct StrategyRow {
  Strategy strategy;
  Need need;
  bool copies_ahead;  ///< some of what it puts before the pause is put again, and takes the place of that
  std::unique_ptr<MemoryCapture> (*make)(CaptureEngine& engine);
};
std::span<const StrategyRow> strategies() noexcept;

/// False of kAuto, too, which nobody has looked up yet.
bool copies_ahead(Strategy strategy) noexcept;

/// Why the host does not let a strategy work; empty where it does.
std::string obstacle(Need need, const TrackingSupport& support);
/// The capture for a strategy, which is not kAuto (auto_strategy.h says what that comes to).
std::unique_ptr<MemoryCapture> make_capture(Strategy strategy, CaptureEngine& engine);

std::unique_ptr<MemoryCapture> make_stop(CaptureEngine& engine);
std::unique_ptr<MemoryCapture> make_precopy(CaptureEngine& engine);
std::unique_ptr<MemoryCapture> make_cow(CaptureEngine& engine);
std::unique_ptr<MemoryCapture> make_fork(CaptureEngine& engine);
std::unique_ptr<MemoryCapture> make_hybrid(CaptureEngine& engine);

}  // namespace tintype
