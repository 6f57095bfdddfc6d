// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/protection_tracker.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace tintype {

namespace {

using Clock = std::chrono::steady_clock;
using State = ChunkState;

/// How far the fault thread goes ahead of a guest that sweeps through memory: twice as far at each fault.
constexpr std::size_t kFarthest = 16;

/// Protecting a run makes KVM forget what it knows of all of it, what was protected before included; a call costs about
/// as much as this many chunks.
constexpr std::size_t kGapWorthBridging = 4;

std::uint64_t microseconds_since(Clock::time_point start) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count());
}

}  // namespace

ProtectionTracker::ProtectionTracker(const GuestMemory& memory, MakeUserfault make_userfault)
    : MemoryTracker(memory),
      memory_(memory),
      make_userfault_(std::move(make_userfault)),
      states_(std::make_unique<std::atomic<State>[]>(chunks_.size())),
      mine_(chunks_.size()),
      came_(chunks_.size()),
      open_(chunks_.size()) {}

ProtectionTracker::~ProtectionTracker() = default;

void ProtectionTracker::start() {
  if (!service_)
    service_ = std::make_unique<FaultService>(ranges_of(memory_), static_cast<FaultSink&>(*this), make_userfault_);
}

std::uint64_t ProtectionTracker::look() {
  residency_.scan([this](std::size_t chunk) { came_[chunk] = true; });
  return residency_.count();
}

void ProtectionTracker::begin_clean() {
  look();
  const std::lock_guard lock(protection_mutex_);
  for (std::size_t chunk = 0; chunk < chunks_.size();) {
    const std::size_t first = chunk;
    for (; chunk < chunks_.size() && came_[chunk]; ++chunk) {
      came_[chunk] = false;
      states_[chunk].store(State::kClean);
    }
    if (chunk == first) {
      ++chunk;
    } else {
      protect(first, chunk - first);
    }
  }
}

// First protected, then compared: a write that comes between the two is seen by its fault, and one that came before it
// by what it wrote.
void ProtectionTracker::begin_compared(const AsSaved& as_saved) {
  look();
  for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    if (!residency_.any(chunk)) continue;
    {
      const std::lock_guard lock(protection_mutex_);
      came_[chunk] = false;
      states_[chunk].store(State::kClean);
      protect(chunk, 1);
    }
    if (!as_saved(chunk, residency_.pages())) let_go(chunk, State::kClean);
  }
}

void ProtectionTracker::begin(bool everything, OldContents& keeper) {
  look();
  for (std::size_t chunk = 0; everything && chunk < chunks_.size(); ++chunk)
    change(chunk, State::kClean, State::kArmed);
  next_ = 0;
  const std::lock_guard lock(handling_mutex_);
  keeper_ = &keeper;
  faults_.clear();
  failed_ = false;
}

bool ProtectionTracker::needs_saving(std::size_t chunk) const noexcept {
  const State state = states_[chunk].load();
  return came_[chunk] || state == State::kArmed || (state == State::kOpen && residency_.any(chunk));
}

std::size_t ProtectionTracker::written() {
  std::size_t count = 0;
  for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) count += needs_saving(chunk) ? 1 : 0;
  return count;
}

// A write that comes between the change of state and the protection is not seen; the chunk will be saved anyway. Where
// the kernel refuses, nobody knows what is protected, and give_back() takes all of it for written.
void ProtectionTracker::arm() {
  for (std::size_t chunk = 0; chunk < chunks_.size();) {
    const std::lock_guard lock(protection_mutex_);
    const std::size_t first = chunk;
    for (; chunk < chunks_.size() && residency_.any(chunk) && change(chunk, State::kOpen, State::kArmed); ++chunk)
      came_[chunk] = false;
    if (chunk == first) {
      ++chunk;
      continue;
    }
    try {
      protect(first, chunk - first);
    } catch (...) {
      failed_.store(true);
      throw;
    }
  }
}

// The other way round would lose a write: clean first, then protected, and copied only after that.
std::optional<std::size_t> ProtectionTracker::claim_written() {
  for (; next_ < chunks_.size(); ++next_) {
    const std::size_t chunk = next_;
    if (!residency_.any(chunk)) continue;
    const std::lock_guard lock(protection_mutex_);
    const bool open = change(chunk, State::kOpen, State::kClean);
    if (!open && !change(chunk, State::kArmed, State::kClean)) continue;
    mine_[chunk] = true;
    if (open || came_[chunk]) protect(chunk, 1);
    came_[chunk] = false;
    ++next_;
    return chunk;
  }
  next_ = 0;
  return std::nullopt;
}

// First the picture of what is there, then the protection. The other way round a fault would be handled without a
// picture to copy by: the host may put the data of a read in flight into guest memory at any moment. What appears
// between the two was zero at the instant, but for that read, which is asked for again at restore; and it is found by
// the next picture.
std::size_t ProtectionTracker::freeze(bool copied_elsewhere) {
  const std::lock_guard lock(protection_mutex_);
  residency_.update([this](std::size_t chunk) { came_[chunk] = true; });
  copied_elsewhere_ = copied_elsewhere;
  std::size_t held = 0;
  for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    if (!needs_saving(chunk)) continue;
    open_[chunk] = came_[chunk] || states_[chunk].load() == State::kOpen;
    came_[chunk] = false;
    mine_[chunk] = true;
    states_[chunk].store(copied_elsewhere ? State::kClean : State::kHeld);
    ++held;
  }
  next_ = 0;
  for (std::size_t first = 0; first < chunks_.size();) {
    if (!open_[first]) {
      ++first;
      continue;
    }
    std::size_t end = first;
    for (std::size_t chunk = first; chunk < chunks_.size() && chunk <= end + kGapWorthBridging; ++chunk) {
      if (open_[chunk]) end = chunk + 1;
    }
    protect(first, end - first);
    std::fill(open_.begin() + static_cast<std::ptrdiff_t>(first), open_.begin() + static_cast<std::ptrdiff_t>(end),
              false);
    first = end;
  }
  return held;
}

std::optional<std::size_t> ProtectionTracker::claim_held() noexcept {
  for (; next_ < chunks_.size(); ++next_) {
    if (copied_elsewhere_ ? mine_[next_] : change(next_, State::kHeld, State::kCopying)) return next_++;
  }
  return std::nullopt;
}

bool ProtectionTracker::copied(std::size_t chunk) noexcept {
  return copied_elsewhere_ || change(chunk, State::kCopying, State::kClean);
}

// ---- write faults, on the service's thread ----

bool ProtectionTracker::on_fault(const Fault& fault) noexcept {
  const std::lock_guard lock(handling_mutex_);
  const auto chunk = chunks_.find(fault.address);
  if (!chunk) return true;
  if (!handle(*chunk, true)) {
    if (keeper_ != nullptr) keeper_->ring_when_free(service_->bell());
    return false;
  }
  const std::uint64_t microseconds = microseconds_since(fault.since);
  faults_.add(microseconds, fault.put_off);
  if (traces(TraceKind::kFaults)) fault_line("write", fault, chunks_[*chunk], memory_).number("us", microseconds).put();
  look_ahead(*chunk);
  return true;
}

/// Lets the chunk go when what it holds is safe. False where there is no room for that, or nobody wants it any more.
bool ProtectionTracker::handle(std::size_t chunk, bool is_waited_for) noexcept {
  for (;;) {
    const State seen = states_[chunk].load();
    if (seen == State::kHeld) {
      if (preserve(chunk, is_waited_for)) return true;
      if (states_[chunk].load() == State::kHeld) return false;
    } else if (seen == State::kCopying) {
      if (!is_waited_for || overtake(chunk)) return true;
      if (states_[chunk].load() == State::kCopying) return false;
    } else if (let_go(chunk, seen)) {
      return true;
    }
  }
}

/// The room first, then the claim, so that nobody waits for a chunk that is claimed.
bool ProtectionTracker::preserve(std::size_t chunk, bool is_waited_for) noexcept {
  if (!is_waited_for && !keeper_->mostly_free()) return false;
  const auto slot = keeper_->take(chunk);
  if (!slot) return false;
  if (!change(chunk, State::kHeld, State::kPreserving)) {
    keeper_->give_back(*slot);
    return false;  // the copier came first
  }
  copy_pages(claimed(), chunks_[chunk], keeper_->memory(*slot));
  keeper_->put(*slot);
  let_go(chunk, State::kPreserving);
  return true;
}

/// The guest writes to a chunk that the copier is at. It does not wait for a thread that may have lost its CPU: the
/// chunk stays protected until one of the two has changed its state, so the copy is whole if that is us.
bool ProtectionTracker::overtake(std::size_t chunk) noexcept {
  const auto slot = keeper_->take(chunk);
  if (!slot) return false;
  copy_pages(claimed(), chunks_[chunk], keeper_->memory(*slot));
  const std::lock_guard lock(protection_mutex_);
  if (!change(chunk, State::kCopying, State::kOpen)) {
    keeper_->give_back(*slot);
    return false;  // the copier was faster after all
  }
  keeper_->put(*slot);
  release(chunk, 1);
  return true;
}

/// False where the state is another by now: the instant has come in between.
bool ProtectionTracker::let_go(std::size_t chunk, State seen) noexcept {
  const std::lock_guard lock(protection_mutex_);
  if (!change(chunk, seen, State::kOpen) && states_[chunk].load() != State::kOpen) return false;
  release(chunk, 1);
  return true;
}

/// A guest that sweeps through memory will want the next chunks next.
void ProtectionTracker::look_ahead(std::size_t chunk) noexcept {
  const bool sweeps = chunk > last_fault_ && chunk <= reached_ + 1;
  ahead_ = sweeps ? std::min(std::max<std::size_t>(2 * ahead_, 1), kFarthest) : 0;
  reached_ = sweeps ? std::max(reached_, chunk) : chunk;
  last_fault_ = chunk;
  while (reached_ < chunk + ahead_ && reached_ + 1 < chunks_.size() && !service_->another_waits()) {
    if (!handle(reached_ + 1, false)) return;
    ++reached_;
  }
}

// ---- the end of a checkpoint ----

void ProtectionTracker::give_back() noexcept {
  const bool all = failed_.load();
  {
    const std::lock_guard lock(protection_mutex_);
    for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
      if (!all && !mine_[chunk]) continue;
      states_[chunk].store(State::kOpen);
      if (service_) release(chunk, 1);
    }
  }
  end();
}

/// When it returns, the fault thread has let go of the keeper. Faults that were put off come again, and are let go.
void ProtectionTracker::end() noexcept {
  std::fill(mine_.begin(), mine_.end(), false);
  copied_elsewhere_ = false;
  next_ = 0;
  const std::lock_guard lock(handling_mutex_);
  keeper_ = nullptr;
  if (service_) service_->bell()->signal();
}

FaultLog ProtectionTracker::faults() const {
  const std::lock_guard lock(handling_mutex_);
  return faults_;
}

// ---- ranges ----

void ProtectionTracker::protect(std::size_t first, std::size_t count) {
  for (std::size_t chunk = first; chunk < first + count;) {
    std::span<std::byte> range = chunks_[chunk].bytes();
    for (++chunk; chunk < first + count && chunks_[chunk].host == range.data() + range.size(); ++chunk)
      range = {range.data(), range.size() + chunks_[chunk].bytes().size()};
    service_->protect(range);
  }
}

void ProtectionTracker::release(std::size_t first, std::size_t count) noexcept {
  for (std::size_t chunk = first; chunk < first + count; ++chunk) {
    if (service_ && !service_->release(chunks_[chunk].bytes())) failed_.store(true);
  }
}

}  // namespace tintype
