// SPDX-License-Identifier: Apache-2.0
#include "devices/block/virtual_disk.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>

#include "devices/block/filling_engine.h"
#include "devices/block/recovery.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"

namespace tintype {
namespace {

constexpr auto kNoRoomNoteEvery = std::chrono::seconds(60);
constexpr int kHoldLimitMs = 60'000;                           ///< for a step of committing, before a switch
constexpr auto kShortStackPatience = std::chrono::seconds(1);  ///< before a switch
constexpr int kSuspendLimitMs = 60'000;                        ///< for what is in flight, while the guest stands still
constexpr int kCloseLimitMs = 600'000;  ///< for everything that is left when the machine has stopped

void check_options(const DiskOptions& options) {
  if (options.serial.size() > 20) {
    throw UsageError("the serial number \"{}\" of the disk {} is longer than 20 bytes: give a shorter one",
                     options.serial, options.image.string());
  }
}

void check_blocks(const DiskOptions& options, const RawFile& base) {
  if (base.size() % options.behaviour.block_size == 0) return;
  throw Error(
      "the disk image {} has {} bytes, which is not a multiple of its block-size={}: extend it with `truncate -s %{} "
      "{}`, or leave out block-size=",
      base.path().string(), base.size(), options.behaviour.block_size, options.behaviour.block_size,
      base.path().string());
}

void throw_if_stopped(const DiskCore& core, const RawFile& base) {
  if (const int error = core.stopped_by()) {
    throw Error("the host cannot read or write {} ({}), for which requests of the guest wait: mend that first",
                base.path().string(), errno_text(error));
  }
}

/// `meanwhile` is called again and again; what it throws ends the waiting.
void wait_for_host(DiskCore& core, const RawFile& base, int limit_ms = kCloseLimitMs,
                   const std::function<void()>& meanwhile = {}) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
  while (!core.idle()) {
    if (std::chrono::steady_clock::now() > limit)
      throw Error("the host does not finish its I/O to {}: look at its disk", base.path().string());
    if (meanwhile) meanwhile();
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

/// Nothing where it is no file: a block device does not say.
std::optional<std::uint64_t> allocated_in(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return static_cast<std::uint64_t>(info.st_blocks) * 512;
}

}  // namespace

VirtualDisk::VirtualDisk(const DiskOptions& options, const DiskTuning& tuning) : options_(options) {
  check_options(options_);
  check(options_.absent == nullptr || options_.mode != DiskMode::kUndoable, "an undoable disk is restored whole");
  base_ = RawFile::open(options_.image, options_.read_only || is_nonpersistent(), options_.absent);
  check_blocks(options_, *base_);
  gate_ = std::make_shared<CommitGate>();
  auto stack = recover(base_, options_);
  if (rests_on_absent()) stack = above_incomplete(*stack);
  use_direct_io(*stack);
  const DiskBehaviour& behaviour = options_.behaviour;
  core_ = std::make_shared<DiskCore>(
      std::move(stack), make_engine(tuning),
      DiskCore::Policy{options_.read_only, !is_nonpersistent() && behaviour.cache != DiskCache::kUnsafe,
                       behaviour.on_error == OnDiskError::kPause,
                       RateLimit(behaviour.iops, behaviour.bytes_per_second)});
  core_->set_on_no_room([this] { on_no_room(); });
}

// A log may lie in a file system that does not know how, or have been made by one: then it uses the page cache.
void VirtualDisk::use_direct_io(const LayerStack& stack) {
  if (options_.behaviour.cache != DiskCache::kNone) return;
  if (!stack.base->use_direct_io()) {
    throw Error("the file system of the disk image {} does not know O_DIRECT, which cache=none needs: leave it out",
                stack.base->path().string());
  }
  for (const auto& log : stack.logs) (void)log->use_direct_io();
}

std::unique_ptr<IoEngine> VirtualDisk::make_engine(const DiskTuning& tuning) {
  auto engine = tuning.make_engine ? tuning.make_engine() : make_io_engine(tuning.engine);
  if (options_.absent == nullptr) return engine;
  return std::make_unique<FillingEngine>(std::move(engine), base_->fd(), options_.absent, [this] { make_lasting(); });
}

/// The image takes nothing from the guest before it is whole.
bool VirtualDisk::rests_on_absent() const noexcept {
  return options_.absent != nullptr && !read_only() && !is_nonpersistent();
}

// Nothing of it waits for the host's disk: make_lasting() does, while the guest runs.
std::shared_ptr<const LayerStack> VirtualDisk::above_incomplete(const LayerStack& image) {
  incomplete_ = std::make_unique<CommitHold>(gate_, kHoldLimitMs);
  auto log = RedoLog::create_unpublished(*base_, options_.log_directory, 1, log_format::Purpose::kCommit);
  if (options_.behaviour.cache == DiskCache::kNone) (void)log->use_direct_io();
  return with_log(image, std::move(log));
}

// The image has a name, and says there that it is not whole, before there is a log, and that before the image says so.
// Until then a power cut, or being killed, leaves a machine that was never restored, or an image to be completed,
// without what the guest wrote: so no flush is answered before, and nothing is built on the log.
void VirtualDisk::make_lasting() {
  if (options_.absent == nullptr) return;
  const std::lock_guard lock(lasting_mutex_);
  if (lasts_) return;
  options_.absent->make_lasting();
  if (rests_on_absent()) {
    const auto stack = core_->stack();
    stack->active()->publish();
    mark_base(*stack);
  }
  lasts_ = true;
}

void VirtualDisk::start_completing() {
  if (options_.absent == nullptr || std::exchange(completing_, true)) return;
  if (rests_on_absent()) committer();  // made before two threads may want it
  options_.absent->start({[this] { make_lasting(); },
                          [this] {
                            incomplete_.reset();
                            start_commit();
                          }});
}

void VirtualDisk::on_no_room() noexcept {
  if (const auto now = std::chrono::steady_clock::now(); now >= next_no_room_note_) {
    next_no_room_note_ = now + kNoRoomNoteEvery;
    const auto& directory = options_.log_directory.empty() ? base_->path().parent_path() : options_.log_directory;
    log_note("{}: no room for its redo log in {}: its writes wait until you make some", id(), directory.string());
  }
  gate_->want();  // a log that is committed gives back its room
}

// Without close(): what the logs hold stays in them for the next time, as if we had been killed.
VirtualDisk::~VirtualDisk() {
  if (options_.absent != nullptr) options_.absent->stop();
  cancel_switch();
  committer_.reset();
  core_->give_up_waiting();
  try {
    wait_for_host(*core_, *base_);  // the host may still be writing into memory that is about to go
  } catch (const std::exception&) {
    check(false, "a disk's I/O ends before the disk does");
  }
}

std::string VirtualDisk::trouble() const {
  const int error = stopped_by();
  if (error == 0) return {};
  const std::string absent = options_.absent == nullptr ? std::string() : options_.absent->problem();
  if (absent.empty()) return errno_text(error);
  return "what it has of its checkpoint cannot be brought: " + absent;
}

std::string VirtualDisk::serial() const { return options_.serial.empty() ? options_.id : options_.serial; }

std::uint64_t VirtualDisk::allocated_bytes() const {
  const auto stack = core_->stack();
  std::uint64_t bytes = allocated_in(stack->base->fd()).value_or(size());
  for (const auto& log : stack->logs) bytes += allocated_in(log->fd()).value_or(0);
  if (base_->absent() != nullptr) bytes += base_->absent()->bytes_left();
  return std::min(bytes, size());
}

void VirtualDisk::changes_saved() noexcept { forget_unsaved(); }

void VirtualDisk::forget_unsaved() noexcept {
  unsaved_changes_.reset();
  unsaved_bytes_ = 0;
}

std::uint64_t VirtualDisk::changed_bytes() const { return std::min(core_->changed_bytes() + unsaved_bytes_, size()); }

Committer& VirtualDisk::committer() {
  if (!committer_) committer_ = std::make_unique<Committer>(core_, gate_);
  return *committer_;
}

std::shared_ptr<RedoLog> VirtualDisk::make_fresh_log(const LayerStack& below) {
  const std::uint64_t sequence = below.active() == nullptr ? 1 : below.active()->covers() + 1;
  const auto purpose = options_.mode == DiskMode::kUndoable ? log_format::Purpose::kKeep : log_format::Purpose::kCommit;
  auto log = is_nonpersistent() ? RedoLog::create_volatile(*base_, options_.log_directory, sequence)
                                : RedoLog::create(*base_, options_.log_directory, sequence, purpose);
  if (options_.behaviour.cache == DiskCache::kNone) (void)log->use_direct_io();
  return log;
}

// However often checkpoints are taken, the next one waits for what the last but one has left. Not where somebody keeps
// us from committing, nor where the host is slow or fails: the logs pile up then rather than that checkpoints end.
void VirtualDisk::await_short_stack() {
  const std::size_t longest = std::max<std::size_t>(1, core_->stack()->kept);
  committer();
  if (log_count() <= longest || gate_->is_held()) return;
  const auto failed = std::make_shared<std::atomic<bool>>(false);
  committer().start([failed](const std::string& error) { *failed = !error.empty(); });
  const auto limit = std::chrono::steady_clock::now() + kShortStackPatience;
  while (log_count() > longest && !*failed && std::chrono::steady_clock::now() < limit)
    std::this_thread::sleep_for(std::chrono::microseconds(200));
}

void VirtualDisk::prepare_switch() {
  check(!prepared_.has_value(), "a prepared switch is done or cancelled before the next one is prepared");
  if (core_->has_lost_writes()) {
    throw Error(
        "the host has failed to write {} for good, and the guest does not know yet: continue the machine, so that it "
        "is told, before there is a checkpoint in which nothing has happened",
        base_->path().string());
  }
  make_lasting();
  if (unsaved_changes_ != nullptr) core_->put_back_changes(*unsaved_changes_);
  forget_unsaved();
  Prepared prepared;
  prepared.changes = std::make_shared<ChangedBlocks>(size() / kSectorSize);
  // The hold comes first: from here on nobody else changes the stack.
  if (read_only()) {
    prepared.stack = core_->stack();
    prepared.frozen = std::make_unique<FrozenStack>(core_, prepared.stack, nullptr, gate_, kHoldLimitMs);
  } else {
    await_short_stack();
    const CommitHold hold(gate_, kHoldLimitMs);
    const auto below = core_->stack();
    auto fresh = make_fresh_log(*below);
    prepared.stack = with_log(*below, fresh);
    mark_base(*prepared.stack);
    prepared.frozen = std::make_unique<FrozenStack>(core_, below, std::move(fresh), gate_, kHoldLimitMs);
  }
  prepared_ = std::move(prepared);
}

std::unique_ptr<FrozenDisk> VirtualDisk::switch_to_fresh_log() noexcept {
  check(prepared_.has_value(), "prepare_switch() comes before switch_to_fresh_log()");
  std::unique_ptr<FrozenStack> frozen = std::move(prepared_->frozen);
  frozen->set_epoch(core_->switch_to(std::move(prepared_->stack), prepared_->changes, frozen->leftovers()));
  unsaved_changes_ = std::move(prepared_->changes);
  unsaved_bytes_ = unsaved_changes_->byte_count();
  frozen->set_changes(unsaved_changes_);
  prepared_.reset();
  return frozen;
}

void VirtualDisk::cancel_switch() noexcept {
  if (!prepared_) return;
  if (RedoLog* const fresh = prepared_->frozen->fresh()) {
    mark_base(*core_->stack());
    fresh->discard();
  }
  prepared_.reset();
}

void VirtualDisk::start_commit(CommitDone on_done) noexcept {
  const CommitDone told = on_done ? std::move(on_done) : CommitDone([this](const std::string& error) {
    if (!error.empty()) log_note("{}: the redo logs could not be committed to the image and are kept: {}", id(), error);
  });
  try {
    if (!read_only()) return committer().start(told);
    told({});
  } catch (const std::exception& error) {
    told(error.what());
  }
}

void VirtualDisk::wait_until_idle() {
  core_->give_up_waiting();
  wait_for_host(*core_, *base_);
  core_->wait_again();
}

std::string VirtualDisk::commit_and_wait(int limit_ms) {
  const auto outcome = std::make_shared<std::promise<std::string>>();
  auto future = outcome->get_future();
  committer().start([outcome](const std::string& error) { outcome->set_value(error); });
  if (future.wait_for(std::chrono::milliseconds(limit_ms)) == std::future_status::ready) return future.get();
  return fmt::format("not done in {} s", limit_ms / 1000);
}

void VirtualDisk::commit_what_is_left() {
  if (core_->stack()->is_short()) return;
  const std::string error = commit_and_wait(kCloseLimitMs);
  if (error.empty()) return;
  throw Error(
      "the redo log of {} could not be committed to it ({}): it is kept, and committed when the disk is next "
      "opened",
      base_->path().string(), error);
}

void VirtualDisk::flush_and_wait() {
  BlockRequest flush;
  int result = -1;
  flush.operation = BlockOperation::kFlush;
  flush.owner = &result;
  flush.done = [](BlockRequest& request, int error_number) noexcept {
    *static_cast<int*>(request.owner) = error_number;
  };
  submit(flush);
  kick();
  wait_for_host(*core_, *base_);
  complete();
  if (result > 0) {
    throw Error("the host could not make the last writes to {} durable ({}): look at its disk", base_->path().string(),
                errno_text(result));
  }
}

// The end of an undoable run. A log that nothing was written to is no loss.
void VirtualDisk::leave_kept_log() {
  RedoLog& log = *core_->stack()->active();
  const std::string image = base_->path().string();
  if (log.index().empty()) {
    base_->clear_mark();
    log.remove();
  } else {
    log_note(
        "{}: {} KiB of updates are kept in {}: `tintype disk commit {}` puts them into the image, `tintype disk "
        "discard {}` throws them away",
        id(), log.index().sector_count() / 2, log.path().string(), image, image);
  }
}

void VirtualDisk::check_suspendable() const {
  if (read_only()) return;
  if (is_nonpersistent()) {
    throw Error(
        "{} is a nonpersistent disk, whose updates go when the machine ends, so that it cannot be suspended: take a "
        "checkpoint instead",
        options_.id);
  }
  if (base_->is_block_device()) {
    throw Error("{} is a block device, which cannot say that its machine is suspended: take a checkpoint instead",
                options_.id);
  }
  throw_if_stopped(*core_, *base_);
}

// What the host finishes after this belongs to requests that the saved state issues again.
void VirtualDisk::suspend(const std::string& id, const std::filesystem::path& state) {
  if (read_only()) return;
  check_suspendable();
  if (options_.absent != nullptr) options_.absent->finish();
  wait_for_host(*core_, *base_, kSuspendLimitMs, [this] { throw_if_stopped(*core_, *base_); });
  commit_what_is_left();
  core_->sync(*base_);
  for (const auto& log : core_->stack()->logs) core_->flush_log(*log);
  base_->set_suspended({id, false, 0, state});
}

void VirtualDisk::suspend_failed() noexcept { end_resume(); }

void VirtualDisk::begin_resume() {
  if (!is_suspendable() || !base_->suspended()) return;
  SuspendNote note = *base_->suspended();
  note.settled = false;
  base_->set_suspended(note);
}

void VirtualDisk::end_resume() noexcept {
  if (!is_suspendable()) return;
  try {
    base_->clear_suspended();
  } catch (const std::exception& error) {  // it does not count without the saved state
    log_note("{}: {} still says that its machine is suspended: {}", id(), base_->path().string(), error.what());
  }
}

/// From now on the image is as it is.
void VirtualDisk::settle_note() noexcept {
  if (!base_->suspended()) return;
  try {
    SuspendNote note = *base_->suspended();
    note.settled = true;
    note.modified_ns = base_->modified_ns();
    base_->set_suspended(note);
  } catch (const std::exception& error) {  // it counts all the same, as long as the saved state can be found
    log_note("{}: {}", id(), error.what());
  }
}

/// The machine that the disk was being restored for never ran.
void VirtualDisk::leave_unused() {
  if (rests_on_absent()) {
    base_->clear_mark();
    core_->stack()->active()->remove();
  }
  base_->unlock();
}

void VirtualDisk::close() {
  cancel_switch();
  core_->give_up_waiting();
  wait_for_host(*core_, *base_);
  complete();
  if (options_.absent != nullptr) {
    if (!completing_) return leave_unused();
    options_.absent->finish();
  }
  if (read_only() || is_nonpersistent()) return base_->unlock();
  commit_what_is_left();
  core_->make_durable();
  flush_and_wait();
  if (options_.mode == DiskMode::kUndoable) leave_kept_log();
  settle_note();
  base_->unlock();
}

}  // namespace tintype
