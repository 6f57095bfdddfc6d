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
constexpr auto kLeftBehindPatience = std::chrono::milliseconds(500);  ///< for a switch that nobody wants any more
constexpr int kSuspendLimitMs = 60'000;  ///< for what is in flight, while the guest stands still
constexpr int kCloseLimitMs = 600'000;   ///< for everything that is left when the machine has stopped

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

std::filesystem::path log_directory_of(const DiskOptions& options, const RawFile& base) {
  return options.log_directory.empty() ? base.path().parent_path() : options.log_directory;
}

/// Any thread, with the core's mutex held.
std::function<void()> no_room_note(const DiskOptions& options, const RawFile& base, std::shared_ptr<CommitGate> gate) {
  using Clock = std::chrono::steady_clock;
  return [id = options.id, directory = log_directory_of(options, base), gate = std::move(gate),
          next_note = Clock::time_point()]() mutable noexcept {
    if (const auto now = Clock::now(); now >= next_note) {
      next_note = now + kNoRoomNoteEvery;
      log_note("{}: no room for its redo log in {}, in which its writes wait, or fail, until you make some", id,
               directory.string());
    }
    gate->want();  // a log that is committed gives back its room
  };
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
  check(options_.unnamed == nullptr || is_nonpersistent(), "what an image without a name is written goes with it");
  base_ = options_.unnamed ? RawFile::open_unnamed(options_.unnamed->get(), options_.image, options_.absent)
                           : RawFile::open(options_.image, options_.read_only || is_nonpersistent(), options_.absent);
  check_blocks(options_, *base_);
  gate_ = std::make_shared<CommitGate>();
  lasting_ = std::make_shared<LastingImage>(options_.absent);
  auto stack = recover(base_, options_);
  if (rests_on_absent()) stack = above_incomplete(*stack);
  use_direct_io(*stack);
  const DiskBehaviour& behaviour = options_.behaviour;
  core_ = std::make_shared<DiskCore>(
      std::move(stack), make_engine(tuning),
      DiskCore::Policy{options_.read_only, !is_nonpersistent() && behaviour.cache != DiskCache::kUnsafe,
                       behaviour.on_error == OnDiskError::kPause,
                       RateLimit(behaviour.iops, behaviour.bytes_per_second)});
  core_->set_on_no_room(no_room_note(options_, *base_, gate_));
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
  return std::make_unique<FillingEngine>(std::move(engine), base_->fd(), options_.absent,
                                         [lasting = lasting_] { lasting->make(); });
}

/// The image takes nothing from the guest before it is whole.
bool VirtualDisk::rests_on_absent() const noexcept {
  return options_.absent != nullptr && !read_only() && !is_nonpersistent();
}

// Nothing of it waits for the host's disk: lasting_ does, while the guest runs.
std::shared_ptr<const LayerStack> VirtualDisk::above_incomplete(const LayerStack& image) {
  incomplete_ = std::make_unique<CommitHold>(gate_);
  auto log = RedoLog::create_unpublished(*base_, options_.log_directory, 1, log_format::Purpose::kCommit);
  if (options_.behaviour.cache == DiskCache::kNone) (void)log->use_direct_io();
  auto stack = with_log(image, std::move(log));
  lasting_->rest_on(stack);
  return stack;
}

void VirtualDisk::start_completing() {
  if (options_.absent == nullptr || std::exchange(completing_, true)) return;
  if (rests_on_absent()) committer();  // made before two threads may want it
  options_.absent->start({[lasting = lasting_] { lasting->make(); },
                          [this] {
                            incomplete_.reset();
                            start_commit();
                          }});
}

// Without close(): what the logs hold stays in them for the next time, as if we had been killed.
VirtualDisk::~VirtualDisk() {
  if (options_.absent != nullptr) options_.absent->stop();
  leave_preparation();
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
  if (error == 0 || !waits_for_user()) return {};
  if (core_->stopped_by_full_log()) {
    return fmt::format("{}: no room for its redo log in {}: make some", errno_text(error),
                       log_directory_of(options_, *base_).string());
  }
  const std::string absent = options_.absent == nullptr ? std::string() : options_.absent->problem();
  if (absent.empty()) return errno_text(error);
  return "what it has of its checkpoint cannot be brought: " + absent;
}

std::string VirtualDisk::problem() const {
  std::string problem = trouble();
  if (!problem.empty() || options_.absent == nullptr || !options_.absent->becomes_whole()) return problem;
  const std::string absent = options_.absent->problem();
  return absent.empty() ? absent : "its image cannot be completed from its checkpoint: " + absent;
}

void VirtualDisk::complete_now() noexcept {
  if (options_.absent != nullptr) options_.absent->go_on();
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

const std::shared_ptr<Committer>& VirtualDisk::committer() {
  if (!committer_) committer_ = std::make_shared<Committer>(core_, gate_);
  return committer_;
}

std::function<void()> VirtualDisk::switch_preparation() {
  check(preparation_ == nullptr || preparation_->made() == nullptr,
        "a prepared switch is done or cancelled before the next one is prepared");
  if (core_->has_lost_writes()) {
    throw Error(
        "the host has failed to write {} for good, and the guest does not know yet: continue the machine, so that it "
        "is told, before there is a checkpoint in which nothing has happened",
        base_->path().string());
  }
  if (unsaved_changes_ != nullptr) core_->put_back_changes(*unsaved_changes_);
  forget_unsaved();
  preparation_ = std::make_shared<SwitchPreparation>(
      SwitchPreparation::Disk{core_, gate_, lasting_, read_only() ? nullptr : committer(), options_}, preparation_);
  return [preparation = preparation_] { preparation->make(); };
}

PreparedSwitch& VirtualDisk::prepared() {
  PreparedSwitch* const made = preparation_ ? preparation_->made() : nullptr;
  check(made != nullptr, "prepare_switch() comes before this");
  return *made;
}

std::unique_ptr<FrozenDisk> VirtualDisk::switch_to_fresh_log() noexcept {
  check(preparation_ != nullptr, "prepare_switch() comes before switch_to_fresh_log()");
  PreparedSwitch prepared = preparation_->take();
  std::unique_ptr<FrozenStack> frozen = std::move(prepared.frozen);
  frozen->set_epoch(core_->switch_to(std::move(prepared.stack), prepared.changes, frozen->leftovers()));
  unsaved_changes_ = std::move(prepared.changes);
  unsaved_bytes_ = unsaved_changes_->byte_count();
  frozen->set_changes(unsaved_changes_);
  return frozen;
}

void VirtualDisk::cancel_switch() noexcept {
  if (preparation_) preparation_->cancel();
}

/// Where the host hangs in it, nothing of the image will be touched any more, and its logs stay as they are.
void VirtualDisk::leave_preparation() noexcept {
  cancel_switch();
  if (host_hangs()) preparation_->leave();
}

bool VirtualDisk::host_hangs() noexcept {
  return preparation_ != nullptr && !preparation_->has_ended(kLeftBehindPatience);
}

void VirtualDisk::start_commit(CommitDone on_done) noexcept {
  const CommitDone told = on_done ? std::move(on_done) : CommitDone([id = id()](const std::string& error) {
    if (!error.empty()) log_note("{}: the redo logs could not be committed to the image and are kept: {}", id, error);
  });
  try {
    if (!read_only()) return committer()->start(told);
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
  committer()->start([outcome](const std::string& error) { outcome->set_value(error); });
  if (future.wait_for(std::chrono::milliseconds(limit_ms)) == std::future_status::ready) return future.get();
  return fmt::format("not done in {} s", limit_ms / 1000);
}

void VirtualDisk::commit_what_is_left() {
  if (core_->stack()->is_short()) return;
  const std::string error = host_hangs() ? "the host hangs in making another one" : commit_and_wait(kCloseLimitMs);
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
  leave_preparation();
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
  if (options_.mode == DiskMode::kUndoable && !host_hangs()) leave_kept_log();
  settle_note();
  base_->unlock();
}

}  // namespace tintype
