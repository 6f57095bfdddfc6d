// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/directory_merge.h"

#include <fcntl.h>
#include <unistd.h>

#include <sys/stat.h>

#include <cstdio>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/format/part_file.h"
#include "checkpoint/store/chain_merge.h"
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

DirectoryMerge::DirectoryMerge(Repository& repository, MergeRun run, bool can_exchange, const ProgressSink& progress)
    : repository_(repository),
      run_(std::move(run)),
      can_exchange_(can_exchange),
      progress_(progress),
      listed_(repository.path() / id_name(run_.id)),
      merged_(repository.path() / prefixed(kMerged, run_.id)) {}

// What was built is removed where it did not come into its place. Under the lock: the name may be taken anew otherwise
// while this is going on.
DirectoryMerge::~DirectoryMerge() {
  if (!lock_) return;
  try {
    const NamesLock names(repository_.path());
    remove_quietly(merged_);
  } catch (const std::exception&) {  // whoever comes next removes it
  }
}

bool DirectoryMerge::run() { return begin() && build() && put_in_place(); }

void DirectoryMerge::step() const { report_merge_step(progress_); }

bool DirectoryMerge::begin() {
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
bool DirectoryMerge::still_the_same() const {
  if (inode_ == 0 || inode_of(listed_) != inode_) return false;
  return can_be_merged(Lineage(repository_), run_);
}

bool DirectoryMerge::build() {
  require_space(repository_.path(), bytes_of(chain_), "merging checkpoints");
  const MergeOutputs outputs{
      [this](const PartDescription& part) { return std::make_shared<PartFile>(merged_ / part.file); },
      [this](const PartDescription& part) { link_or_copy(listed_ / part.file, merged_ / part.file); }};
  const std::string text = encode_manifest(merge_chain(chain_, outputs, progress_));
  SmallFile(merged_ / checkpoint_files::kManifest, std::as_bytes(std::span(text))).sync();
  step();
  return true;
}

bool DirectoryMerge::put_in_place() {
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
void DirectoryMerge::exchange() {
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
