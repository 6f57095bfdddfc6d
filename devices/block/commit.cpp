// SPDX-License-Identifier: Apache-2.0
#include "devices/block/commit.h"

#include <chrono>
#include <span>

#include "devices/block/log_owner.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/base/thread.h"

namespace tintype {

using log_format::StateKind;

namespace {

constexpr std::uint64_t kChunkSectors = (1 << 20) / kSectorSize;  ///< a step copies so much

void punch_hole(RawFile& base, const SectorRange& range) {
  HostIo zero;
  zero.kind = HostIo::Kind::kZero;
  zero.fd = base.fd();
  zero.offset = range.start * kSectorSize;
  zero.length = range.count() * kSectorSize;
  zero.punches = true;
  while (!zero.settle(zero.perform())) {
  }
  base.note_write();
  if (zero.error_number != 0) throw_errno_text(zero.error_number, "fallocate " + base.path().string());
}

}  // namespace

void copy_extent(const RedoLog& log, RawFile& base, const ExtentIndex::Extent& extent, std::vector<std::byte>& buffer) {
  if (extent.zeros) return punch_hole(base, extent.range);
  const std::uint64_t length = extent.range.count() * kSectorSize;
  buffer.resize(kChunkSectors * kSectorSize);
  for (std::uint64_t done = 0; done < length;) {
    const auto part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), length - done));
    read_exactly(log.fd(), part, extent.position * kSectorSize + done, log.path().string());
    write_exactly(base.fd(), part, extent.range.start * kSectorSize + done, base.path().string());
    base.note_write();
    done += part.size();
  }
}

void write_to_log(DiskCore& core, RedoLog& log, const SectorRange& range, std::span<const std::byte> data) {
  const auto places = core.take_places(log, range);
  for (const RedoLog::Place& place : places) {
    const std::uint64_t start = (place.range.start - range.start) * kSectorSize;
    write_exactly(log.fd(), data.subspan(start, place.range.count() * kSectorSize), place.position * kSectorSize,
                  log.path().string());
    log.note_write();
  }
  for (const RedoLog::Place& place : places) {
    if (place.is_new) core.note_copied(log, place);
  }
}

Committer::Committer(std::shared_ptr<DiskCore> core, std::shared_ptr<CommitGate> gate)
    : core_(std::move(core)), gate_(std::move(gate)), thread_([this] { run(); }) {}

Committer::~Committer() {
  gate_->stop();
  thread_.join();
}

void Committer::start(OnDone on_done) {
  {
    const std::lock_guard lock(mutex_);
    on_done_.push_back(std::move(on_done));
  }
  gate_->want();
}

void Committer::run() noexcept {
  name_this_thread("disk-commit");
  block_signals_in_this_thread();
  while (gate_->begin_step()) {
    const auto begun = std::chrono::steady_clock::now();
    Step result = Step::kFinished;
    std::string error;
    try {
      result = step();
    } catch (const std::exception& failure) {
      core_->end_live_commit();
      frozen_ = nullptr;
      error = failure.what();
    }
    core_->note_commit(!error.empty());
    std::vector<OnDone> listeners;
    if (result == Step::kFinished) listeners = take_listeners();
    gate_->end_step(result == Step::kFinished);
    for (const OnDone& on_done : listeners) on_done(error);  // after the step: they may prepare the next switch
    if (result == Step::kWait) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (result == Step::kMore) leave_disk_to_guest(std::chrono::steady_clock::now() - begun);
  }
}

void Committer::leave_disk_to_guest(CommitPace::Duration step) const {
  using Clock = std::chrono::steady_clock;
  const auto sleep = [](CommitPace::Duration time) {
    const auto begun = Clock::now();
    std::this_thread::sleep_for(time);
    return Clock::now() - begun;
  };
  CommitPace::leave_disk_to_guest(
      step, [this] { return core_->is_busy(); }, sleep);
}

std::vector<Committer::OnDone> Committer::take_listeners() noexcept {
  const std::lock_guard lock(mutex_);
  return std::exchange(on_done_, {});
}

Committer::Step Committer::step() {
  bury();
  const auto stack = core_->stack();
  if (stack->is_short()) return dead_.empty() ? Step::kFinished : Step::kWait;
  // A write of an older epoch goes to a layer below the active log. Until it has landed, that layer may not
  // be copied, nor may the base be written.
  const std::uint64_t older = core_->epoch() - 1;
  if (landed_epoch_ < older) {
    if (!core_->writes_landed(older)) return Step::kWait;
    landed_epoch_ = older;
  }
  if (stack->commits_into() == nullptr) announce_commit(*stack);
  return &stack->to_commit() == stack->active() ? commit_active(stack) : commit_frozen(stack);
}

// From here on the base changes, and a log that is found after a crash must not take that for somebody else's
// doing.
void Committer::announce_commit(const LayerStack& stack) {
  for (const auto& log : stack.logs) {
    if (log->state().kind == StateKind::kCommitting) continue;
    note_commit(*log, *stack.base);
    core_->sync(*log);
  }
}

// Readers and writers do not notice: where the lowest log holds a sector, nobody looks at the base. A copy
// that is cut short is begun again, at the latest by whoever opens the disk next. The log is deleted before
// anything else may write to the base where it held data: found again, it could do harm then.
Committer::Step Committer::commit_frozen(const std::shared_ptr<const LayerStack>& stack) {
  RedoLog& log = stack->to_commit();
  if (frozen_ != &log) {
    frozen_ = &log;
    cursor_ = 0;
  }
  for (std::uint64_t copied = 0; copied < kChunkSectors;) {
    auto extent = log.index().at_or_after(cursor_);
    if (!extent) {
      drop_frozen(stack);
      break;
    }
    extent->range.end = std::min(extent->range.end, extent->range.start + kChunkSectors);
    copy(*stack, *extent);
    copied += extent->range.count();
    cursor_ = extent->range.end;
  }
  return Step::kMore;
}

void Committer::copy(const LayerStack& stack, const ExtentIndex::Extent& extent) {
  const RedoLog& log = stack.to_commit();
  RedoLog* const kept = stack.commits_into();
  if (kept == nullptr) return copy_extent(log, *stack.base, extent, buffer_);
  if (extent.zeros) return core_->note_copied(*kept, {extent.range, ExtentIndex::kNoRoom, true});
  const std::uint64_t length = extent.range.count() * kSectorSize;
  buffer_.resize(std::max(buffer_.size(), length));
  read_exactly(log.fd(), std::span(buffer_).first(length), extent.position * kSectorSize, log.path().string());
  write_to_log(*core_, *kept, extent.range, std::span(buffer_).first(length));
}

void Committer::make_durable_below(const LayerStack& stack) {
  if (RedoLog* const kept = stack.commits_into()) return core_->flush_log(*kept);
  core_->sync(*stack.base);
}

void Committer::drop_frozen(const std::shared_ptr<const LayerStack>& stack) {
  RedoLog& log = stack->to_commit();
  make_durable_below(*stack);
  declare_void(*stack);
  const auto shorter = without_committed(*stack);
  core_->replace_stack(shorter);
  dead_.push_back(stack->logs[stack->kept]);
  log.index().clear();
  frozen_ = nullptr;
  forget(log, *shorter);
}

Committer::Step Committer::commit_active(const std::shared_ptr<const LayerStack>& stack) {
  if (!core_->live_committing()) {
    core_->begin_live_commit();  // starts an epoch: what was planned without regard to it must land first
    cursor_ = 0;
    return Step::kMore;
  }
  const LiveCommit::Chunk chunk = core_->next_chunk(cursor_, kChunkSectors);
  for (const ExtentIndex::Extent& extent : chunk.extents) copy(*stack, extent);
  core_->chunk_copied();
  return cursor_ == LiveCommit::kEnd ? drop_mirrored(stack) : Step::kMore;
}

// The order matters: all mirrored, then durable in the base, then the log's file says that it is void, and only then
// may a write go to the base alone. Whenever we are killed, the log either still holds the newest data or is not looked
// at.
Committer::Step Committer::drop_mirrored(const std::shared_ptr<const LayerStack>& stack) {
  cursor_ = 0;
  if (!core_->begin_settling()) return Step::kWait;
  make_durable_below(*stack);
  if (!core_->settled()) return Step::kMore;
  RedoLog& log = stack->to_commit();
  declare_void(*stack);
  const auto shorter = without_committed(*stack);
  core_->finish_live_commit(shorter);
  dead_.push_back(stack->logs[stack->kept]);
  forget(log, *shorter);
  return Step::kMore;
}

// Should the file come back after a power cut, or be out of sight when the disk is next opened, nobody may replay it
// over newer data. Where it cannot be said for sure, the log stays what it was.
void Committer::declare_void(const LayerStack& stack) {
  RedoLog& log = stack.to_commit();
  if (RedoLog* const kept = stack.commits_into()) return declare_merged(*kept, log.covers());
  try {
    log.set_state(StateKind::kRetired);
    core_->sync(log);
  } catch (const std::exception&) {
    log.set_state(StateKind::kCommitting);
    throw;
  }
}

void Committer::declare_merged(RedoLog& kept, std::uint64_t sequence) {
  const std::uint64_t before = kept.state().merged_through;
  try {
    kept.set_merged_through(sequence);
    if (!kept.is_volatile()) core_->sync(kept);
  } catch (const std::exception&) {
    kept.set_merged_through(before);
    throw;
  }
}

// After a power cut the image's mark must not tell of a log that is gone: the image would be refused without it.
void Committer::forget(RedoLog& log, const LayerStack& shorter) {
  if (log.is_volatile()) return;
  mark_base(shorter);
  if (!shorter.logs.empty()) shorter.base->settle();
  log.remove();
}

// Closing the last descriptor of a deleted log frees its blocks, which takes time: here, not on the I/O
// thread.
void Committer::bury() {
  std::erase_if(dead_, [](const std::shared_ptr<RedoLog>& log) { return log.use_count() == 1; });
}

}  // namespace tintype
