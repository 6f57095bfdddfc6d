// SPDX-License-Identifier: Apache-2.0
#include "devices/block/log_owner.h"

#include "devices/block/boot_id.h"
#include "vmm/base/error.h"

namespace tintype {

using log_format::BaseKind;
using log_format::State;
using log_format::StateKind;
using log_format::Superblock;

namespace {

BaseIdentity identity_in(const Superblock& superblock) {
  return {superblock.base_kind == BaseKind::kBlockDevice, superblock.base_inode, superblock.base_birth_ns};
}

std::filesystem::path base_path_in(const Superblock& superblock) {
  return std::string(log_format::base_path(superblock));
}

ImageMark::Id mark_in(const Superblock& superblock) {
  return superblock.version == 1 ? ImageMark::Id{} : superblock.image_mark;
}

/// The image that the log was written above still exists, and is another one than ours.
bool original_exists(const Superblock& superblock, const RawFile& base) {
  const std::filesystem::path path = base_path_in(superblock);
  if (path == base.path()) return false;
  const auto there = identity_of(path);
  return there && *there == identity_in(superblock);
}

/// The log itself, not a link, is where the image is: they were copied or moved together.
bool lies_beside(const LogPaths& paths, const RawFile& base) {
  return paths.has_name_of_image && paths.link.empty() && paths.file.parent_path() == base.path().parent_path();
}

[[noreturn]] void refuse_stranger(const LogPaths& paths, const Superblock& superblock, const RawFile& base) {
  const std::string image = base.path().string();
  const ImageMark::Id id = mark_in(superblock);
  const std::string adopt =
      id == ImageMark::Id{}
          ? std::string()
          : fmt::format(", say with `setfattr -n {} -v {} {}` (package attr) that it fits all the same",
                        kImageMarkAttribute, to_text(id), image);
  throw Error(
      "the redo log {} was written above the image {}, and {} is another file (a copy, or a replacement): put back "
      "that "
      "image{}, or delete the log to give up the updates in it",
      paths.file.string(), base_path_in(superblock).string(), image, adopt);
}

bool same_time(const State& state, const RawFile& base) {
  return state.kind == StateKind::kStable && state.base_modified_ns == base.modified_ns();
}

}  // namespace

bool belongs(const LogPaths& paths, const Superblock& superblock, const State& state, const RawFile& base) {
  const ImageMark::Id id = mark_in(superblock);
  const bool same_inode = identity_in(superblock) == base.identity();
  const bool marked = base.mark() && base.mark()->id == id;
  const bool inode_is_sure = base.identity().birth_ns != 0 || base.is_block_device();
  if (!paths.has_name_of_image && !marked && !(same_inode && inode_is_sure)) return false;
  const bool at_home = same_inode || marked;
  if (!at_home && original_exists(superblock, base) && !lies_beside(paths, base) && paths.link.empty()) return false;
  if (state.kind == StateKind::kRetired) return true;
  if (base.mark() && !marked && id != ImageMark::Id{}) refuse_stranger(paths, superblock, base);
  if (same_inode) return true;
  if (marked) return lies_beside(paths, base) || !original_exists(superblock, base);  // else we are a copy
  if (same_time(state, base)) return true;
  refuse_stranger(paths, superblock, base);
}

namespace {

void check_size(const RedoLog& log, const RawFile& base) {
  if (log.superblock().disk_size == base.size()) return;
  throw Error(
      "the disk image {} has {} bytes, but had {} when its redo log {} was written: put back the image as it was, or "
      "delete the log to give up the updates in it",
      base.path().string(), base.size(), log.superblock().disk_size, log.path().string());
}

/// While logs wait nobody but us writes to the image, and a log says up to when that is known.
bool time_fits(const RedoLog& log, const RawFile& base) {
  const std::uint64_t known = log.state().base_modified_ns;
  const std::uint64_t now = base.modified_ns();
  if (log.superblock().version == 1) return log.state().kind != StateKind::kStable || now <= known;
  switch (log.state().kind) {
    case StateKind::kFresh:  // the time may not have become durable before a power cut
      return now >= known || log.superblock().boot_id != boot_id();
    case StateKind::kStable:
      return now == known;
    default:
      return now >= known;
  }
}

}  // namespace

void check_fits(const RedoLog& log, const RawFile& base) {
  check_size(log, base);
  if (time_fits(log, base) || (base.mark() && base.mark()->is_users_word())) return;
  const std::string image = base.path().string();
  throw Error(
      "the disk image {} has been changed by something else since its redo log {} was written (replaced by an older "
      "copy, "
      "perhaps), and they no longer fit together: put back the image as it was{}, or delete the log to give up the "
      "updates "
      "in it",
      image, log.path().string(),
      log.superblock().version == 1
          ? std::string()
          : fmt::format(", say with `setfattr -n {} -v {} {}` (package attr) that they fit all the same",
                        kImageMarkAttribute, to_text(log.superblock().image_mark), image));
}

// The image of a fresh log has not come to rest: a power cut might take its time back behind what the log knows, and
// from here on that would count as somebody else's doing.
void note_commit(RedoLog& log, const RawFile& base) {
  if (log.state().kind != StateKind::kFresh) return log.set_state(StateKind::kCommitting);
  const std::uint64_t modified_ns = base.modified_ns();
  base.settle();
  log.set_state(StateKind::kCommitting, modified_ns);
}

}  // namespace tintype
