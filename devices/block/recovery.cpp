// SPDX-License-Identifier: Apache-2.0
#include "devices/block/recovery.h"

#include <algorithm>

#include "devices/block/commit.h"
#include "devices/block/log_files.h"
#include "devices/block/log_scan.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"

namespace tintype {

using log_format::BaseKind;
using log_format::StateKind;
using log_format::Superblock;
using Logs = std::vector<std::shared_ptr<RedoLog>>;

namespace {

BaseIdentity identity_in(const Superblock& superblock) {
  return {superblock.base_kind == BaseKind::kBlockDevice, superblock.base_inode, superblock.base_birth_ns};
}

std::filesystem::path base_path_in(const Superblock& superblock) {
  return std::string(log_format::base_path(superblock));
}

/// The log is another image's of the same name, which still exists: they share a --disk-dir.
bool is_of_another_image(const Superblock& superblock, const RawFile& base) {
  const std::filesystem::path path = base_path_in(superblock);
  if (identity_in(superblock) == base.identity() || path == base.path()) return false;
  const auto there = identity_of(path);
  return there && *there == identity_in(superblock);
}

// The inode tells the image from its copies. A copy that kept the time stamp is as good, if that is known to
// have stood still.
void check_belongs(const RedoLog& log, const RawFile& base) {
  const Superblock& superblock = log.superblock();
  if (superblock.disk_size != base.size()) {
    throw Error(
        "the disk image {} has {} bytes, but had {} when its redo log {} was written: put back the image as "
        "it was, or delete the log to give "
        "up the updates in it",
        base.path().string(), base.size(), superblock.disk_size, log.path().string());
  }
  if (identity_in(superblock) == base.identity()) return;
  if (log.state().kind == StateKind::kStable && log.state().base_modified_ns == base.modified_ns()) return;
  throw Error(
      "the redo log {} was written above the image {}, and {} is another file (a copy, or a replacement): "
      "put back that image, or delete the log "
      "to give up the updates in it",
      log.path().string(), base_path_in(superblock).string(), base.path().string());
}

// Known of the topmost log, known of all: committing marks every log of the stack before it touches the base.
void check_unchanged(const RedoLog& top, const RawFile& base) {
  if (top.state().kind != StateKind::kStable || base.modified_ns() <= top.state().base_modified_ns) return;
  throw Error(
      "the disk image {} has been changed by something else since its redo log {} was written, and they no "
      "longer fit together: put back the image "
      "as it was, or delete the log to give up the updates in it",
      base.path().string(), top.path().string());
}

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

Found load_logs(const RawFile& base, const DiskOptions& options) {
  Found found;
  for (const LogPaths& paths : find_logs(base, options.log_directory)) {
    LogScan scan(paths.file, paths.link, options.read_only);
    if (is_of_another_image(scan.superblock(), base)) continue;
    const std::shared_ptr<RedoLog> log = scan.load();
    if (log->state().kind == StateKind::kRetired) {
      found.retired.push_back(log);
      continue;
    }
    check_belongs(*log, base);
    note_discarded(*log, base);
    found.current.push_back(log);
  }
  std::stable_sort(found.current.begin(), found.current.end(),
                   [](const auto& a, const auto& b) { return a->sequence() < b->sequence(); });
  check_order(found.current);
  if (!found.current.empty()) check_unchanged(*found.current.back(), base);
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

void retire(RedoLog& log) {
  log.set_state(StateKind::kRetired);
  log.sync();
  log.remove();
}

// Killed half-way, we are back where we were, with some of it done: the copies are the same next time. The
// lowest log is deleted first, since a log that came back without the ones above it would bring back old
// data.
void replay(const Logs& logs, RawFile& base) {
  try {
    for (const auto& log : logs) {
      log->set_state(StateKind::kCommitting);
      log->sync();
    }
    const std::uint64_t sectors = copy_all(logs, base);
    for (const auto& log : logs) retire(*log);
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
    for (const auto& log : found.retired) log->remove();
    replay(found.current, *base);
  }
  stack->base = std::move(base);
  return stack;
}

}  // namespace tintype
