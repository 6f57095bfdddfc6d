// SPDX-License-Identifier: Apache-2.0
#include "devices/block/switch_preparation.h"

#include <atomic>
#include <thread>
#include <utility>

#include "devices/block/redo_log.h"
#include "vmm/base/error.h"

namespace tintype {

namespace {

constexpr auto kShortStackPatience = std::chrono::seconds(1);  ///< for what the last one left
/// For a host that was slow, and whoever waited for it has lost patience with.
constexpr auto kPreviousPatience = std::chrono::seconds(10);

}  // namespace

std::shared_ptr<RedoLog> make_fresh_log(const DiskOptions& options, const LayerStack& below,
                                        const std::function<void()>& before_name) {
  const std::uint64_t sequence = below.active() == nullptr ? 1 : below.active()->covers() + 1;
  const auto purpose = options.mode == DiskMode::kUndoable ? log_format::Purpose::kKeep : log_format::Purpose::kCommit;
  auto log = options.mode == DiskMode::kNonpersistent
                 ? RedoLog::create_volatile(*below.base, options.log_directory, sequence)
                 : RedoLog::create(*below.base, options.log_directory, sequence, purpose, before_name);
  if (options.behaviour.cache == DiskCache::kNone) (void)log->use_direct_io();
  return log;
}

SwitchPreparation::SwitchPreparation(Disk disk, std::shared_ptr<SwitchPreparation> previous)
    : disk_(std::move(disk)), previous_(std::move(previous)) {}

void SwitchPreparation::make() {
  {
    const std::lock_guard lock(mutex_);
    if (cancelled_) return;
    begun_ = true;
  }
  std::optional<PreparedSwitch> prepared;
  try {
    await_previous();
    prepared = prepare();
  } catch (...) {
    end();
    throw;
  }
  {
    const std::lock_guard lock(mutex_);
    if (!cancelled_) made_ = std::exchange(prepared, std::nullopt);
  }
  if (prepared) undo(*prepared);
  prepared.reset();
  end();
}

PreparedSwitch SwitchPreparation::prepare() {
  disk_.lasting->make();
  PreparedSwitch prepared;
  prepared.changes = std::make_shared<ChangedBlocks>(disk_.core->stack()->base->size() / kSectorSize);
  // The hold comes first: from here on nobody else changes the stack.
  if (disk_.options.read_only) {
    prepared.stack = disk_.core->stack();
    prepared.frozen = std::make_unique<FrozenStack>(disk_.core, prepared.stack, nullptr, disk_.gate);
    return prepared;
  }
  await_short_stack();
  const CommitHold hold(disk_.gate);
  const auto below = disk_.core->stack();
  auto fresh = make_fresh_log(disk_.options, *below, [this] { throw_if_unwanted(); });
  prepared.stack = with_log(*below, fresh);
  prepared.frozen = std::make_unique<FrozenStack>(disk_.core, below, std::move(fresh), disk_.gate);
  if (!is_left()) mark_base(*prepared.stack);
  return prepared;
}

// However often checkpoints are taken, the next one waits for what the last but one has left. Not where somebody keeps
// us from committing, nor where the host is slow or fails: the logs pile up then rather than that checkpoints end.
void SwitchPreparation::await_short_stack() const {
  const std::size_t longest = std::max<std::size_t>(1, disk_.core->stack()->kept);
  const auto length = [this] { return disk_.core->stack()->logs.size(); };
  if (length() <= longest || disk_.gate->is_held()) return;
  const auto failed = std::make_shared<std::atomic<bool>>(false);
  if (const auto there = disk_.committer.lock())
    there->start([failed](const std::string& error) { *failed = !error.empty(); });
  const auto limit = std::chrono::steady_clock::now() + kShortStackPatience;
  while (length() > longest && !*failed && std::chrono::steady_clock::now() < limit)
    std::this_thread::sleep_for(std::chrono::microseconds(200));
}

void SwitchPreparation::await_previous() {
  const auto previous = std::exchange(previous_, nullptr);
  if (previous == nullptr || previous->has_ended(kPreviousPatience)) return;
  throw Error(
      "the host still hangs in making the redo log that an earlier checkpoint wanted for {}: look at the file system "
      "of its redo logs",
      disk_.core->stack()->base->path().string());
}

PreparedSwitch* SwitchPreparation::made() noexcept {
  const std::lock_guard lock(mutex_);
  return made_ ? &*made_ : nullptr;
}

PreparedSwitch SwitchPreparation::take() {
  const std::lock_guard lock(mutex_);
  check(made_.has_value(), "a switch is prepared before it is done");
  return std::move(*std::exchange(made_, std::nullopt));
}

void SwitchPreparation::cancel() noexcept {
  std::optional<PreparedSwitch> unwanted;
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    unwanted = std::exchange(made_, std::nullopt);
  }
  if (unwanted) undo(*unwanted);
}

// The hold on committing is still there: nobody else changes the stack, or the mark.
void SwitchPreparation::undo(PreparedSwitch& prepared) noexcept {
  RedoLog* const fresh = prepared.frozen->fresh();
  if (fresh == nullptr) return;
  if (is_left()) return;
  mark_base(*disk_.core->stack());
  fresh->discard();
}

bool SwitchPreparation::has_ended(std::chrono::milliseconds patience) noexcept {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [this] { return ended_ || (cancelled_ && !begun_); });
}

void SwitchPreparation::throw_if_unwanted() {
  const std::lock_guard lock(mutex_);
  if (cancelled_) throw Error("nobody wants the redo log any more");
}

bool SwitchPreparation::is_left() noexcept {
  const std::lock_guard lock(mutex_);
  return left_;
}

void SwitchPreparation::leave() noexcept {
  const std::lock_guard lock(mutex_);
  left_ = true;
}

void SwitchPreparation::end() noexcept {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

}  // namespace tintype
