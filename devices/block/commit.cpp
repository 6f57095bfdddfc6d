// SPDX-License-Identifier: Apache-2.0
#include "devices/block/commit.h"

#include <chrono>
#include <span>

#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/base/thread.h"

namespace tintype {

using log_format::StateKind;

namespace {

constexpr std::uint64_t kChunkSectors = (1 << 20) / kSectorSize;     ///< a step copies so much
constexpr std::uint64_t kSectorsPerSync = (64 << 20) / kSectorSize;  ///< the base is synced after so much
constexpr std::size_t kReleasesPerWrite = 256;

}  // namespace

void copy_extent(const RedoLog& log, RawFile& base, const ExtentIndex::Extent& extent, std::vector<std::byte>& buffer) {
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
    Step result = Step::kFinished;
    std::string error;
    try {
      result = step();
    } catch (const std::exception& failure) {
      core_->end_live_commit();
      frozen_ = nullptr;
      error = failure.what();
    }
    std::vector<OnDone> listeners;
    if (result == Step::kFinished) listeners = take_listeners();
    gate_->end_step(result == Step::kFinished);
    for (const OnDone& on_done : listeners) on_done(error);  // after the step: they may prepare the next switch
    if (result == Step::kWait) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

std::vector<Committer::OnDone> Committer::take_listeners() noexcept {
  const std::lock_guard lock(mutex_);
  return std::exchange(on_done_, {});
}

Committer::Step Committer::step() {
  bury();
  const auto stack = core_->stack();
  if (stack->logs.empty()) return dead_.empty() ? Step::kFinished : Step::kWait;
  // A write of an older epoch goes to a layer below the active log. Until it has landed, that layer may not
  // be copied, nor may the base be written.
  const std::uint64_t older = core_->epoch() - 1;
  if (landed_epoch_ < older) {
    if (!core_->writes_landed(older)) return Step::kWait;
    landed_epoch_ = older;
  }
  announce_commit(*stack);
  return stack->logs.size() > 1 ? commit_frozen(stack) : commit_active(stack);
}

// From here on the base changes, and a log that is found after a crash must not take that for somebody else's
// doing.
void Committer::announce_commit(const LayerStack& stack) {
  for (const auto& log : stack.logs) {
    if (log->state().kind == StateKind::kCommitting) continue;
    log->set_state(StateKind::kCommitting);
    log->sync();
  }
}

// Readers and writers do not notice: where the lowest log holds a sector, nobody looks at the base. A copy
// that is cut short is begun again, at the latest by whoever opens the disk next. The log is deleted before
// anything else may write to the base where it held data: found again, it could do harm then.
Committer::Step Committer::commit_frozen(const std::shared_ptr<const LayerStack>& stack) {
  RedoLog& log = *stack->lowest();
  if (frozen_ != &log) {
    frozen_ = &log;
    cursor_ = 0;
  }
  for (std::uint64_t copied = 0; copied < kChunkSectors;) {
    auto extent = log.index().at_or_after(cursor_);
    if (!extent) {
      stack->base->sync();
      log.retire();
      core_->replace_stack(without_lowest(*stack));
      dead_.push_back(stack->logs.front());
      log.index().clear();
      frozen_ = nullptr;
      break;
    }
    extent->range.end = std::min(extent->range.end, extent->range.start + kChunkSectors);
    copy_extent(log, *stack->base, *extent, buffer_);
    copied += extent->range.count();
    cursor_ = extent->range.end;
  }
  return Step::kMore;
}

Committer::Step Committer::commit_active(const std::shared_ptr<const LayerStack>& stack) {
  if (!core_->live_committing()) {
    core_->begin_live_commit();  // starts an epoch: what was planned without regard to it must land first
    cursor_ = 0;
    sectors_since_sync_ = 0;
    return Step::kMore;
  }
  const LiveCommit::Chunk chunk = core_->next_chunk(cursor_, kChunkSectors);
  for (const ExtentIndex::Extent& extent : chunk.extents) copy_extent(*stack->active(), *stack->base, extent, buffer_);
  core_->chunk_copied();
  sectors_since_sync_ += chunk.sectors;
  if (cursor_ != LiveCommit::kEnd && sectors_since_sync_ < kSectorsPerSync) return Step::kMore;
  return release_mirrored(stack);
}

// The order matters: mirrored, then durable in the base, then released in the log's file, then released in
// the index, so that the next write goes to the base alone. Whenever we are killed, the log either still
// holds the newest data or no longer speaks of the sector.
Committer::Step Committer::release_mirrored(const std::shared_ptr<const LayerStack>& stack) {
  core_->begin_release();
  stack->base->sync();
  bool any = false;
  for (auto releases = core_->next_releases(kReleasesPerWrite); !releases.empty();
       releases = core_->next_releases(kReleasesPerWrite)) {
    write_releases(*stack->active(), releases);
    any = true;
  }
  if (cursor_ == LiveCommit::kEnd) cursor_ = 0;
  sectors_since_sync_ = 0;
  if (!core_->live_committed()) return any ? Step::kMore : Step::kWait;
  drop_committed(stack);
  return Step::kMore;
}

void Committer::write_releases(RedoLog& log, const std::vector<DiskCore::Release>& releases) {
  std::vector<log_format::Record> records;
  for (const DiskCore::Release& release : releases) records.push_back(log.release_record(release.range, release.slot));
  std::exception_ptr failure;
  try {
    for (std::size_t first = 0; first < records.size();) {
      const std::uint64_t left_in_group =
          log_format::kSlotsPerGroup - releases[first].slot % log_format::kSlotsPerGroup;
      const std::size_t count = std::min<std::size_t>(left_in_group, records.size() - first);
      write_exactly(log.fd(), std::as_bytes(std::span(records).subspan(first, count)),
                    log_format::slot_offset(releases[first].slot), log.path().string());
      first += count;
    }
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  log.note_write();
  for (std::size_t i = 0; i < records.size();
       ++i) {  // what the file says is what holds, also after a write that failed half-way
    if (!failure || log.has_record(records[i], releases[i].slot)) core_->released(releases[i].range);
  }
  if (failure) std::rethrow_exception(failure);
}

// The empty log may go from the stack first: whatever becomes of its file, nothing in it is in force. But
// that must be durable before a flush no longer covers the file.
void Committer::drop_committed(const std::shared_ptr<const LayerStack>& stack) {
  stack->active()->sync();
  core_->finish_live_commit(without_lowest(*stack));
  dead_.push_back(stack->logs.front());
  stack->logs.front()->retire();
}

// Closing the last descriptor of a deleted log frees its blocks, which takes time: here, not on the I/O
// thread.
void Committer::bury() {
  std::erase_if(dead_, [](const std::shared_ptr<RedoLog>& log) { return log.use_count() == 1; });
}

}  // namespace tintype
