// SPDX-License-Identifier: Apache-2.0
#include "devices/block/recovery.h"

#include <algorithm>

#include "devices/block/commit.h"
#include "devices/block/log_files.h"
#include "devices/block/log_owner.h"
#include "devices/block/log_scan.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"

namespace tintype {

using log_format::StateKind;
using Logs = std::vector<std::shared_ptr<RedoLog>>;

namespace {

/// Sorted from the lowest up; each sequence number follows the one before it. (Logs that hold nothing may be
/// remains of a switch that was given up.)
void check_order(const Logs& logs) {
  for (std::size_t i = 1; i < logs.size(); ++i) {
    const RedoLog& below = *logs[i - 1];
    const RedoLog& log = *logs[i];
    if (log.sequence() > below.sequence() + 1) {
      throw Error(
          "the redo log that lay between {} and {} is missing: put it back, or delete the latter to give up "
          "the updates in it",
          below.path().string(), log.path().string());
    }
    if (log.sequence() == below.sequence() && !log.index().empty() && !below.index().empty()) {
      throw Error("{} and {} are both redo log number {} of the disk image: remove the one that is a copy",
                  below.path().string(), log.path().string(), log.sequence());
    }
  }
}

void note_discarded(const RedoLog& log, const RawFile& base) {
  if (log.discarded() == 0) return;
  log_note("{}: the host went down before the guest had flushed {} writes in {}: they are left out",
           base.path().string(), log.discarded(), log.path().string());
}

struct Found {
  Logs current;
  Logs retired;
};

/// All logs that the image's mark tells of are there.
void check_complete(const Found& found, const RawFile& base) {
  const auto& mark = base.mark();
  if (!mark || mark->is_users_word()) return;
  const auto is_there = [&](std::uint64_t sequence) {
    const auto has = [&](const Logs& logs) {
      return std::any_of(logs.begin(), logs.end(), [&](const auto& log) { return log->sequence() == sequence; });
    };
    return has(found.current) || has(found.retired);
  };
  if (is_there(mark->first_log) && is_there(mark->last_log)) return;
  throw Error(
      "the disk image {} has updates in redo logs that are missing (they lay in {}, and if this image is a copy, they "
      "belong "
      "to it only when they are copied too): put them beside the image, or give up the updates in all of them with "
      "`setfattr -x {} {}` (package attr) and by deleting those that are left",
      base.path().string(), mark->directory.string(), kImageMarkAttribute, base.path().string());
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

Found load_logs(const RawFile& base, const DiskOptions& options) {
  Found found;
  for (const LogPaths& paths : find_logs(base, options.log_directory)) {
    const std::shared_ptr<RedoLog> log = load_log(paths, base, options.read_only);
    if (!log) continue;
    if (log->state().kind == StateKind::kRetired) {
      found.retired.push_back(log);
      continue;
    }
    check_fits(*log, base);
    note_discarded(*log, base);
    found.current.push_back(log);
  }
  std::stable_sort(found.current.begin(), found.current.end(),
                   [](const auto& a, const auto& b) { return a->sequence() < b->sequence(); });
  check_order(found.current);
  check_complete(found, base);
  return found;
}

std::uint64_t copy_all(const Logs& logs, RawFile& base) {
  std::vector<std::byte> buffer;
  std::uint64_t sectors = 0;
  for (const auto& log : logs) {
    sectors += log->index().sector_count();
    for (auto extent = log->index().at_or_after(0); extent; extent = log->index().at_or_after(extent->range.end)) {
      copy_extent(*log, base, *extent, buffer);
    }
  }
  if (base.needs_sync()) base.sync();
  return sectors;
}

/// All of the logs is in the base. The mark goes before the files that it speaks of.
void retire(const Found& found, RawFile& base) {
  for (const auto& log : found.current) {
    log->set_state(StateKind::kRetired);
    log->sync();
  }
  base.clear_mark();
  for (const auto& log : found.retired) log->remove();
  for (const auto& log : found.current) log->remove();
}

// Killed half-way, we are back where we were, with some of it done: the copies are the same next time. The
// lowest log is deleted first, since a log that came back without the ones above it would bring back old
// data.
void replay(const Found& found, RawFile& base) {
  const Logs& logs = found.current;
  try {
    for (const auto& log : logs) {
      log->set_state(StateKind::kCommitting);
      log->sync();
    }
    const std::uint64_t sectors = copy_all(logs, base);
    retire(found, base);
    if (sectors > 0) {
      log_note("{}: committed {} KiB of updates from a redo log that was left over", base.path().string(), sectors / 2);
    }
  } catch (const std::system_error& failure) {
    throw Error(
        "the redo log that a killed machine left could not be committed to the disk image {} ({}): nothing is "
        "lost, "
        "so make room or mend what is wrong and try again",
        base.path().string(), failure.what());
  }
}

}  // namespace

std::shared_ptr<const LayerStack> recover(std::shared_ptr<RawFile> base, const DiskOptions& options) {
  Found found = load_logs(*base, options);
  auto stack = std::make_shared<LayerStack>();
  if (options.read_only) {
    stack->logs = std::move(found.current);
  } else {
    replay(found, *base);
  }
  stack->base = std::move(base);
  return stack;
}

}  // namespace tintype
