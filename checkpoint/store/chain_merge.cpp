// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/chain_merge.h"

#include <fcntl.h>
#include <unistd.h>

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/format/part_merge.h"
#include "checkpoint/store/open_checkpoint.h"
#include "checkpoint/store/repository_names.h"
#include "checkpoint/store/small_file.h"
#include "checkpoint/store/space.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {

namespace fs = std::filesystem;
using namespace repository_names;

namespace {

/// 0 where there is none.
std::uint64_t inode_of(const fs::path& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

/// The same file under another name; a copy of it where the file system knows no links.
void link_or_copy(const fs::path& from, const fs::path& to) {
  if (::link(from.c_str(), to.c_str()) == 0) return;
  std::error_code error;
  fs::copy_file(from, to, error);
  if (error) throw_write_error(to, error.value());
  sync_file(open_file(to, O_RDWR).get(), to.string());
}

}  // namespace

std::vector<MergeRun> find_merge_runs(const Lineage& lineage) {
  std::vector<MergeRun> runs;
  for (const auto& [id, member] : lineage.members()) {
    if (member.base || !member.manifest) continue;
    MergeRun run{id, {}};
    std::uint64_t child = id;
    for (std::uint64_t base = member.manifest->parent; lineage.is_base_of_only(base, child);
         base = lineage.members().at(base).manifest->parent) {
      run.bases.push_back(base);
      child = base;
    }
    if (!run.bases.empty()) runs.push_back(std::move(run));
  }
  return runs;
}

ChainMerge::ChainMerge(Repository& repository, MergeRun run, bool can_exchange, const ProgressSink& progress)
    : repository_(repository),
      run_(std::move(run)),
      can_exchange_(can_exchange),
      progress_(progress),
      listed_(repository.path() / id_name(run_.id)),
      merged_(repository.path() / prefixed(kMerged, run_.id)) {}

// What was built is removed where it did not come into its place. Under the lock: the name may be taken anew otherwise
// while this is going on.
ChainMerge::~ChainMerge() {
  if (!lock_) return;
  try {
    const NamesLock names(repository_.path());
    remove_quietly(merged_);
  } catch (const std::exception&) {  // whoever comes next removes it
  }
}

bool ChainMerge::run() { return begin() && build() && put_in_place(); }

void ChainMerge::step() const {
  if (progress_) progress_({"merge", 0, 1});
}

bool ChainMerge::begin() {
  const NamesLock names(repository_.path());
  if (fs::exists(merged_)) return false;
  inode_ = inode_of(listed_);
  if (!still_the_same()) return false;
  lock_ = create_with_writer_lock(merged_, 0);
  chain_ = read_chain(repository_, run_.id);
  chain_.resize(run_.bases.size() + 1);
  step();
  return true;
}

/// Under the lock on names.
bool ChainMerge::still_the_same() const {
  if (inode_ == 0 || inode_of(listed_) != inode_) return false;
  const auto runs = find_merge_runs(Lineage(repository_));
  const auto found = std::ranges::find(runs, run_.id, &MergeRun::id);
  return found != runs.end() && found->bases.size() >= run_.bases.size() &&
         std::equal(run_.bases.begin(), run_.bases.end(), found->bases.begin());
}

bool ChainMerge::build() {
  manifest_ = *chain_.front().manifest;
  manifest_.parent = chain_.back().manifest->parent;
  manifest_.parent_identity = chain_.back().manifest->parent_identity;
  std::uint64_t bytes = 0;
  for (const ChainLink& link : chain_)
    for (const PartDescription& part : link.manifest->parts) bytes += part.summary.file_bytes;
  require_space(repository_.path(), bytes, "merging checkpoints");
  for (PartDescription& part : manifest_.parts) {
    if (part.summary.incremental) {
      part.summary = merge_part(part.name);
    } else {
      link_or_copy(listed_ / part.file, merged_ / part.file);
    }
    step();
  }
  const std::string text = encode_manifest(manifest_);
  SmallFile(merged_ / checkpoint_files::kManifest, std::as_bytes(std::span(text))).sync();
  step();
  return true;
}

PartSummary ChainMerge::merge_part(const std::string& name) {
  const auto parts = open_parts(chain_, name);
  PartMerge merge(parts, merged_ / checkpoint_files::part_file(name));
  return merge.run([&](std::uint64_t done, std::uint64_t total) {
    if (progress_) progress_({"merge", done, total});
  });
}

bool ChainMerge::put_in_place() {
  {
    const NamesLock names(repository_.path());
    if (!still_the_same()) return false;
    fs::remove(merged_ / kWriterLockName);
    sync_directory(merged_);
    step();
    exchange();
    sync_directory(repository_.path());
    step();
    for (const std::uint64_t base : run_.bases) {
      repository_.discard(base);
      step();
    }
    // What was there goes with the first base: the name must be free at once.
    const fs::path away = repository_.path() / prefixed(kDeleted, run_.bases.front()) / id_name(run_.id);
    if (::rename(merged_.c_str(), away.c_str()) != 0) remove_quietly(merged_);
    lock_.reset();
  }
  repository_.remove_discarded();
  return true;
}

// At every instant one of the two is there under a name that counts. The second way is for file systems where two
// directories cannot change places: between its renames `.new-ID` is the checkpoint.
void ChainMerge::exchange() {
  if (can_exchange_ && ::renameat2(AT_FDCWD, merged_.c_str(), AT_FDCWD, listed_.c_str(), RENAME_EXCHANGE) == 0) return;
  if (can_exchange_ && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
    throw_errno("exchange {} and {}", merged_.string(), listed_.string());
  const fs::path replacement = repository_.path() / prefixed(kReplacement, run_.id);
  rename_new(merged_, replacement);
  step();
  rename_new(listed_, merged_);
  step();
  rename_new(replacement, listed_);
}

}  // namespace tintype
