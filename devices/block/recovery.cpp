// SPDX-License-Identifier: Apache-2.0
#include "devices/block/recovery.h"

#include <algorithm>

#include "devices/block/commit.h"
#include "devices/block/log_files.h"
#include "devices/block/log_owner.h"
#include "devices/block/log_scan.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/base/log.h"

namespace tintype {

using log_format::StateKind;
using Logs = std::vector<std::shared_ptr<RedoLog>>;

namespace {

constexpr std::uint64_t kWritebackSectors = (8 << 20) / kSectorSize;  ///< copied, they begin to be written

/// Sorted from the lowest up; each sequence number follows the one before it. (Logs that hold nothing may be
/// remains of a switch that was given up.)
void add_gaps_between(const Logs& logs, std::vector<std::string>& gaps) {
  for (std::size_t i = 1; i < logs.size(); ++i) {
    const RedoLog& below = *logs[i - 1];
    const RedoLog& log = *logs[i];
    if (log.sequence() > below.covers() + 1) {
      gaps.push_back(
          fmt::format("the redo log that lay between {} and {} is missing: put it back, or delete the latter to give "
                      "up the updates in it",
                      below.path().string(), log.path().string()));
    }
    if (log.sequence() == below.sequence() && !log.index().empty() && !below.index().empty()) {
      gaps.push_back(
          fmt::format("{} and {} are both redo log number {} of the disk image: remove the one that is a copy",
                      below.path().string(), log.path().string(), log.sequence()));
    }
  }
}

void note_discarded(const RedoLog& log, const RawFile& base) {
  if (log.discarded() == 0) return;
  log_note("{}: the host went down before the guest had flushed {} writes in {}: they are left out",
           base.path().string(), log.discarded(), log.path().string());
}

/// Of the logs that the image's mark tells of.
void add_gap_in_mark(const FoundLogs& found, const RawFile& base, std::vector<std::string>& gaps) {
  const auto& mark = base.mark();
  if (!mark || mark->is_users_word()) return;
  const auto is_there = [&](std::uint64_t sequence) {
    const auto has = [&](const Logs& logs) {
      return std::any_of(logs.begin(), logs.end(), [&](const auto& log) {
        return log->sequence() <= sequence && sequence <= log->covers();  // itself, or merged into it
      });
    };
    return has(found.current) || has(found.retired);
  };
  if (is_there(mark->first_log) && is_there(mark->last_log)) return;
  gaps.push_back(fmt::format(
      "the disk image {} has updates in redo logs that are missing (they lay in {}, and if this image is a copy, they "
      "belong to it only when they are copied too): put them beside the image, named after it ({}.NNNN.redo), or give "
      "up the updates in all of them with "
      "`setfattr -x {} {}` (package attr) and by deleting those that are left",
      base.path().string(), mark->directory.string(), base.path().filename().string(), kImageMarkAttribute,
      base.path().string()));
}

/// The log, if it is one of the image's; whatever bears another name may be anything.
std::shared_ptr<RedoLog> load_log(const LogPaths& paths, const RawFile& base, bool read_only) {
  try {
    LogScan scan(paths.file, paths.link, read_only);
    if (!belongs(paths, scan.superblock(), scan.state(), base)) return nullptr;
    return scan.load();
  } catch (const LogDamaged&) {
    if (paths.has_name_of_image) throw;
    return nullptr;
  }
}

/// Given up by the user, or merged into a log below: what was begun is finished.
void set_aside_void(FoundLogs& found) {
  std::uint64_t void_from = ~std::uint64_t{0}, merged_through = 0;
  std::erase_if(found.current, [&](const std::shared_ptr<RedoLog>& log) {
    if (log->state().kind == StateKind::kDiscarded) void_from = std::min(void_from, log->sequence());
    const bool is_void = log->sequence() >= void_from || log->sequence() <= merged_through;
    merged_through = std::max(merged_through, log->state().merged_through);
    if (is_void) found.retired.push_back(log);
    return is_void;
  });
}

/// The medium writes while the rest is being copied, not only when all is synced.
void copy_all(const Logs& logs, RawFile& base) {
  std::vector<std::byte> buffer;
  std::uint64_t copied = 0;
  for (const auto& log : logs) {
    for (auto extent = log->index().at_or_after(0); extent; extent = log->index().at_or_after(extent->range.end)) {
      extent->range.end = std::min(extent->range.end, extent->range.start + kWritebackSectors);
      copy_extent(*log, base, *extent, buffer);
      copied += extent->range.count();
      if (copied < kWritebackSectors) continue;
      start_writeback(base.fd());
      copied = 0;
    }
  }
  if (base.needs_sync()) base.sync();
}

/// All of the logs is in the base. The mark goes before the files that it speaks of.
void retire(const FoundLogs& found, RawFile& base) {
  for (const auto& log : found.current) {
    log->set_state(StateKind::kRetired);
    log->sync();
  }
  base.clear_mark();
  for (const auto& log : found.retired) log->remove();
  for (const auto& log : found.current) log->remove();
}

void note_uncommitted(const FoundLogs& found, const RawFile& base, std::string_view what_happens) {
  if (!found.are_kept() || found.are_kept_for_nothing()) return;
  log_note(
      "{} has {} KiB of uncommitted updates in redo logs: {} (`tintype disk commit {}` puts them into the image, "
      "`tintype disk discard` throws them away)",
      base.path().string(), found.sector_count() / 2, what_happens, base.path().string());
}

[[noreturn]] void refuse_uncommitted(const FoundLogs& found, const RawFile& base) {
  const std::string image = base.path().string();
  throw Error(
      "the disk image {} has {} KiB of uncommitted updates of an undoable disk, in {}: put them into the image with "
      "`tintype disk commit {}`, throw them away with `tintype disk discard {}`, or go on with them with mode=undoable",
      image, found.sector_count() / 2, found.current.front()->path().string(), image, image);
}

}  // namespace

bool FoundLogs::are_kept() const noexcept {
  const auto is_kept = [](const auto& log) {
    return log->superblock().purpose == log_format::Purpose::kKeep && log->state().kind != StateKind::kCommitting;
  };
  return !current.empty() && std::all_of(current.begin(), current.end(), is_kept);
}

bool FoundLogs::are_kept_for_nothing() const noexcept {
  return are_kept() &&
         std::all_of(current.begin(), current.end(), [](const auto& log) { return log->holds_nothing(); });
}

std::uint64_t FoundLogs::sector_count() const noexcept {
  std::uint64_t sectors = 0;
  for (const auto& log : current) sectors += log->index().sector_count();
  return sectors;
}

std::vector<std::string> gaps_in(const FoundLogs& found, const RawFile& base) {
  std::vector<std::string> gaps;
  add_gaps_between(found.current, gaps);
  add_gap_in_mark(found, base, gaps);
  return gaps;
}

void put_in_order(FoundLogs& found) {
  std::stable_sort(found.current.begin(), found.current.end(),
                   [](const auto& a, const auto& b) { return a->sequence() < b->sequence(); });
  set_aside_void(found);
}

FoundLogs find_stack(const RawFile& base, const std::filesystem::path& log_directory, bool read_only) {
  FoundLogs found;
  for (const LogPaths& paths : find_logs(base, log_directory)) {
    const std::shared_ptr<RedoLog> log = load_log(paths, base, read_only);
    if (log) (log->state().kind == StateKind::kRetired ? found.retired : found.current).push_back(log);
  }
  put_in_order(found);
  const bool may_be_lost = found.are_kept_for_nothing();
  for (const auto& log : found.current) {
    if (!may_be_lost) check_fits(*log, base);
    note_discarded(*log, base);
  }
  if (const auto gaps = gaps_in(found, base); !gaps.empty()) throw Error("{}", gaps.front());
  return found;
}

// Killed half-way, we are back where we were, with some of it done: the copies are the same next time. The
// lowest log is deleted first, since a log that came back without the ones above it would bring back old
// data.
void commit_logs(const FoundLogs& found, RawFile& base) {
  const Logs& logs = found.current;
  try {
    for (const auto& log : logs) {
      note_commit(*log, base);
      log->sync();
    }
    copy_all(logs, base);
    retire(found, base);
  } catch (const std::system_error& failure) {
    throw Error(
        "the redo logs of the disk image {} could not be committed to it ({}): nothing is "
        "lost, "
        "so make room or mend what is wrong and try again",
        base.path().string(), failure.what());
  }
}

// The mark goes first, or the image would be refused without a log that it tells of.
void delete_void_logs(const FoundLogs& found, const std::shared_ptr<RawFile>& base) {
  if (found.retired.empty()) return;
  mark_base({base, found.current, 0});
  base->settle();
  for (const auto& log : found.retired) log->remove();
}

// The lowest log says for all of them that they are void, in one sector. It is deleted last.
void discard_logs(const FoundLogs& found, RawFile& base) {
  if (!found.current.empty()) {
    found.current.front()->set_state(StateKind::kDiscarded);
    found.current.front()->sync();
  }
  base.clear_mark();
  for (const auto& log : found.retired) log->remove();
  for (auto log = found.current.rbegin(); log != found.current.rend(); ++log) (*log)->remove();
}

namespace {

/// What an undoable disk writes to, where it does not go on with what it has.
std::shared_ptr<RedoLog> first_kept_log(const RawFile& base, const DiskOptions& options) {
  base.settle();
  return RedoLog::create(base, options.log_directory, 1, log_format::Purpose::kKeep);
}

/// An undoable disk's: it goes on with the logs that it has. All but the first go into that.
void go_on(FoundLogs& found, LayerStack& stack) {
  delete_void_logs(found, stack.base);
  if (!stack.base->mark()) mark_base({stack.base, found.current, 0});  // killed before the first log was noted
  for (const auto& log : found.current) log->reopen_for_writing();
  stack.logs = std::move(found.current);
  stack.kept = 1;
}

void open_for_writing(FoundLogs& found, LayerStack& stack, const DiskOptions& options) {
  const bool undoable = options.mode == DiskMode::kUndoable;
  if (found.are_kept_for_nothing()) {  // its machine was killed, or never ran
    discard_logs(found, *stack.base);
    found = {};
  }
  if (found.are_kept()) {
    if (!undoable) refuse_uncommitted(found, *stack.base);
    note_uncommitted(found, *stack.base, "the disk goes on with them");
    return go_on(found, stack);
  }
  commit_logs(found, *stack.base);
  if (const std::uint64_t sectors = found.sector_count(); sectors > 0) {
    log_note("{}: committed {} KiB of updates from a redo log that was left over", stack.base->path().string(),
             sectors / 2);
  }
  if (!undoable) return;
  stack.logs.push_back(first_kept_log(*stack.base, options));
  stack.kept = 1;
  mark_base(stack);
}

/// The image and its logs are left alone.
void open_for_reading(FoundLogs& found, LayerStack& stack, const DiskOptions& options) {
  note_uncommitted(found, *stack.base, "the disk shows the image with them");
  stack.logs = std::move(found.current);
  if (options.read_only) return;
  const std::uint64_t sequence = stack.logs.empty() ? 1 : stack.logs.back()->covers() + 1;
  stack.logs.push_back(RedoLog::create_volatile(*stack.base, options.log_directory, sequence));
  stack.kept = stack.logs.size();
}

}  // namespace

namespace {

/// Whoever resumes wants the very image that was left.
void check_unchanged(const RawFile& base, const std::string& suspended_as) {
  const auto& note = base.suspended();
  if (note && note->id == suspended_as && (!note->settled || note->modified_ns == base.modified_ns())) return;
  throw Error(
      "the disk image {} is not as the suspended machine left it: somebody has used it since, so that the machine "
      "cannot "
      "be resumed",
      base.path().string());
}

}  // namespace

void check_suspended(RawFile& base, const std::string& suspended_as) {
  if (!suspended_as.empty()) return check_unchanged(base, suspended_as);
  const auto& note = base.suspended();
  if (!note) return;
  if (!note->counts()) return base.clear_suspended();
  const std::string state = note->state.parent_path().string();
  throw Error(
      "the disk image {} belongs to a suspended machine: `tintype resume {}` goes on with it; to give that machine up, "
      "delete that directory and `setfattr -x user.tintype.suspended {}` (package attr)",
      base.path().string(), state, base.path().string());
}

std::shared_ptr<const LayerStack> recover(std::shared_ptr<RawFile> base, const DiskOptions& options) {
  const bool reads_only = options.read_only || options.mode == DiskMode::kNonpersistent;
  if (!reads_only) check_suspended(*base, options.suspended_as);
  FoundLogs found = find_stack(*base, options.log_directory, reads_only);
  auto stack = std::make_shared<LayerStack>();
  stack->base = std::move(base);
  (reads_only ? open_for_reading : open_for_writing)(found, *stack, options);
  return stack;
}

}  // namespace tintype
