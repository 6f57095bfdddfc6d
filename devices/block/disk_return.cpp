// SPDX-License-Identifier: Apache-2.0
// How a disk becomes, in place, what it was at an instant that was kept (a mark), or what another disk is (a
// checkpoint's).
#include <algorithm>
#include <ranges>

#include "devices/block/disk_difference.h"
#include "devices/block/virtual_disk.h"
#include "vmm/base/error.h"

namespace tintype {

namespace {

constexpr int kOldIoLimitMs = 60'000;

bool all_empty(const std::vector<std::shared_ptr<RedoLog>>& logs) {
  return std::ranges::all_of(logs, [](const auto& log) { return log->index().empty(); });
}

}  // namespace

std::vector<std::shared_ptr<RedoLog>> VirtualDisk::logs_above(const FrozenDisk& frozen) const {
  const auto now = core_->stack();
  const std::size_t kept = dynamic_cast<const FrozenStack&>(frozen).stack()->logs.size();
  return {now->logs.begin() + static_cast<std::ptrdiff_t>(kept), now->logs.end()};
}

void VirtualDisk::prepare_return(const FrozenDisk& frozen) {
  if (read_only() || (core_->idle() && all_empty(logs_above(frozen)))) return;
  try {
    log_to_return_to_ = make_fresh_log(options_, *dynamic_cast<const FrozenStack&>(frozen).stack());
  } catch (const std::system_error& error) {
    throw Error("{} cannot go back, for there must be a fresh redo log first: {}", id(), error.what());
  }
}

void VirtualDisk::cancel_return() noexcept {
  if (log_to_return_to_) log_to_return_to_->discard();
  log_to_return_to_.reset();
}

// The logs go from the top down, when the fresh one is there: whenever we are killed, what is left is the disk of some
// instant. The fresh log has the number of the lowest that goes, which recovery allows to a log that holds nothing.
bool VirtualDisk::go_back_to(const FrozenDisk& frozen) {
  const auto& to = dynamic_cast<const FrozenStack&>(frozen);
  const auto dropped = logs_above(frozen);
  if (all_empty(dropped)) return cancel_return(), false;
  auto fresh = std::exchange(log_to_return_to_, nullptr);
  check(fresh != nullptr, "prepare_return() comes before go_back_to()");
  if (to.base_is_settled()) fresh->set_state(log_format::StateKind::kStable, base_->modified_ns());
  core_->replace_stack(with_log(*to.stack(), std::move(fresh)));
  for (auto log = dropped.rbegin(); log != dropped.rend(); ++log) {
    (*log)->set_state(log_format::StateKind::kRetired);
    (*log)->remove();
  }
  return true;
}

// A log that counts for nothing is void, wherever it is found: a machine that is killed meanwhile has its old disk.
bool VirtualDisk::prepare_contents(DiskContents& wanted) {
  check(wanted.size() == size(), "a disk becomes one of its own size");
  RedoLog* const fresh = prepared().frozen->fresh();
  if (fresh != nullptr) fresh->set_state(log_format::StateKind::kRetired);
  const bool differs = write_difference(*core_, *prepared().frozen, wanted, fresh);
  if (differs && fresh == nullptr)
    throw Error("{} is read-only, and the checkpoint has other contents of it than {}", id(), base_->path().string());
  if (fresh != nullptr) core_->flush_log(*fresh);
  return differs;
}

void VirtualDisk::take_contents() {
  if (read_only()) return cancel_switch();
  RedoLog& fresh = *prepared().frozen->fresh();
  fresh.set_state(log_format::StateKind::kFresh);
  core_->sync(fresh);
  switch_to_fresh_log()->wait_for_old_io(kOldIoLimitMs);
  start_commit();
}

}  // namespace tintype
