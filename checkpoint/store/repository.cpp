// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/repository.h"

#include <fcntl.h>
#include <unistd.h>

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <utility>

#include "checkpoint/s3/location.h"
#include "checkpoint/store/chain.h"
#include "checkpoint/store/directory_draft.h"
#include "checkpoint/store/directory_merge.h"
#include "checkpoint/store/lineage.h"
#include "checkpoint/store/open_checkpoint.h"
#include "checkpoint/store/repository_names.h"
#include "checkpoint/store/space.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/base/same_file.h"

namespace tintype {

namespace fs = std::filesystem;
using namespace repository_names;

namespace {

/// Absolute, and without a slash at the end.
fs::path directory_path(const fs::path& path) {
  if (path.empty()) throw Error("the repository has an empty name; name a directory for the checkpoints");
  const fs::path absolute = fs::absolute(path).lexically_normal();
  return absolute.has_filename() ? absolute : absolute.parent_path();
}

}  // namespace

PendingCheckpoint::PendingCheckpoint(const Repository& repository, fs::path directory, std::uint64_t id, UniqueFd lock,
                                     std::shared_ptr<const Manifest> parent)
    : repository_(repository.path()),
      directory_(std::move(directory)),
      lasting_(repository.lasting()),
      id_(id),
      lock_(std::move(lock)),
      parent_(std::move(parent)) {}

PendingCheckpoint::PendingCheckpoint(PendingCheckpoint&& other) noexcept
    : repository_(std::move(other.repository_)),
      directory_(std::exchange(other.directory_, {})),
      lasting_(other.lasting_),
      id_(other.id_),
      lock_(std::move(other.lock_)),
      parent_(std::move(other.parent_)) {}

PendingCheckpoint::~PendingCheckpoint() { abandon(); }

bool PendingCheckpoint::seal(const std::function<bool()>& may) {
  check(!directory_.empty(), "a checkpoint is sealed once");
  const fs::path final_name = repository_ / id_name(id_);
  const NamesLock lock(repository_);
  if (may && !may()) return false;
  const bool lasts = lasting_ == Lasting::kYes;
  if (lasts) sync_directory(directory_);
  rename_new(directory_, final_name);
  try {
    fs::remove(final_name / kWriterLockName);  // after the rename: one turn of the file system's journal for both
    if (lasts) sync_directory(repository_);
  } catch (...) {
    ::rename(final_name.c_str(), directory_.c_str());
    throw;
  }
  directory_.clear();
  lock_.reset();
  return true;
}

void PendingCheckpoint::abandon() noexcept {
  if (directory_.empty()) return;
  remove_quietly(directory_);
  directory_.clear();
  lock_.reset();
}

void Repository::check_place(const fs::path& path) {
  std::error_code error;
  fs::path there = directory_path(path);
  while (!fs::exists(there, error) && there.has_relative_path()) there = there.parent_path();
  if (fs::exists(there, error) && !fs::is_directory(there, error)) {
    throw Error("{} is not a directory; name a directory for the checkpoints, which is created where it is missing",
                there.string());
  }
}

Repository Repository::create(const fs::path& path, std::shared_ptr<KnownManifests> known) {
  std::error_code error;
  check_place(path);
  const fs::path absolute = directory_path(path);
  if (!fs::exists(absolute, error)) {
    fs::create_directories(absolute.parent_path(), error);
    if (::mkdir(absolute.c_str(), 0700) != 0 && errno != EEXIST) {
      throw Error("the repository {} cannot be created: {}", path.string(), errno_text(errno));
    }
    sync_directory(absolute.parent_path());
  }
  const NamesLock writable(absolute);
  return {absolute, std::move(known)};
}

Repository::Repository(fs::path path, std::shared_ptr<KnownManifests> known)
    : path_(std::move(path)), known_(std::move(known)) {
  std::error_code error;
  lasting_ = fs::exists(path_ / kScratchName, error) ? Lasting::kNo : Lasting::kYes;
}

void Repository::sync_names() const {
  if (lasting_ == Lasting::kYes) sync_directory(path_);
}

Repository Repository::open(const fs::path& path, std::shared_ptr<KnownManifests> known) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    throw Error("there is no repository {}; name the directory that was given to checkpoint --to", path.string());
  }
  return {directory_path(path), std::move(known)};
}

std::shared_ptr<const Manifest> Repository::read_manifest(const fs::path& directory, std::uint64_t id) const {
  if (known_) return known_->read(directory, id);
  return std::make_shared<const Manifest>(tintype::read_manifest(directory, id));
}

void Repository::require_repository() const {
  std::error_code error;
  if (fs::exists(path_ / kLockName, error) || !ids().empty()) return;
  throw Error("{} is no repository: name the directory that was given to checkpoint --to", path_.string());
}

PendingCheckpoint Repository::begin(const std::optional<ParentRef>& parent, Parents parents) {
  const NamesLock lock(path_);
  const Names names = look();
  tidy_names(names);
  const bool discards = names.bases && !discard_unneeded_bases({}).empty();
  if (names.discarded || discards) remove_discarded();
  std::shared_ptr<const Manifest> below = parent ? require_parent(*parent, parents) : nullptr;
  const std::uint64_t id = last_id(names) + 1;
  const fs::path directory = path_ / prefixed(kPending, id);
  return {*this, directory, id, create_with_writer_lock(directory, parent ? parent->id : 0), std::move(below)};
}

std::shared_ptr<const Manifest> Repository::require_parent(const ParentRef& parent, Parents parents) const {
  std::error_code error;
  if (!fs::exists(parents == Parents::kListed ? path_ / id_name(parent.id) : directory_of(parent.id), error))
    throw ParentGone("checkpoint {} is not in {} any more, and nothing can build on it", parent.id, path_.string());
  if (parents == Parents::kListed) refuse_known_damage(parent.id);
  try {
    const Chain chain = read_chain(
        *this, parent.id, [&](const ChainLink& link) { return !known_ || !known_->is_whole(directory_of(link.id())); });
    if (chain.front().manifest->identity != parent.identity)
      throw ParentGone("checkpoint {} in {} is another one than was meant", parent.id, path_.string());
    for (const ChainLink& link : chain) check_files(link);
    for (const ChainLink& link : chain)
      if (known_) known_->note_whole(directory_of(link.id()));
    return chain.front().manifest;
  } catch (const ImageError& error) {
    throw ParentGone("nothing can build on checkpoint {}: {}", parent.id, error.what());
  }
}

// What dead processes left: checkpoints in the making, and replacements that were not put in place.
void Repository::tidy_names(const Names& names) {
  for (const std::string& name : names.replacements) {
    const fs::path wanted = path_ / name.substr(kReplacement.size());
    if (fs::exists(wanted))
      remove_quietly(path_ / name);
    else
      rename_new(path_ / name, wanted);
  }
  for (const std::string& name : names.in_the_making)
    if (writer_is_dead(path_ / name)) remove_quietly(path_ / name);
}

Repository::Names Repository::look() const {
  Names names;
  for_each_name(path_, [&](const std::string& name) {
    if (id_after(kPending, name) || id_after(kMerged, name)) {
      names.in_the_making.push_back(name);
      return;
    }
    if (id_after(kReplacement, name)) names.replacements.push_back(name);
    names.bases = names.bases || id_after(kBase, name);
    names.discarded = names.discarded || id_after(kDeleted, name);
    for (const std::string_view prefix : {std::string_view(), kDeleted, kBase, kReplacement, kLastId})
      names.last_id = std::max(names.last_id, id_after(prefix, name).value_or(0));
  });
  return names;
}

/// After tidying: whoever is still there is at work.
std::uint64_t Repository::last_id(const Names& names) const {
  std::uint64_t last = names.last_id;
  for (const std::string& name : names.in_the_making) {
    if (!fs::exists(path_ / name)) continue;
    for (const std::string_view prefix : {kPending, kMerged}) last = std::max(last, id_after(prefix, name).value_or(0));
  }
  return last;
}

std::vector<std::uint64_t> Repository::discard_unneeded_bases(const ProgressSink& progress) {
  if (bases().empty()) return {};
  const auto unneeded = Lineage(*this).unneeded_bases();
  for (const std::uint64_t id : unneeded) {
    discard(id);
    if (progress) progress({"delete", 0, 1});
  }
  return unneeded;
}

/// Renames it away: its data can be removed at leisure.
void Repository::discard(std::uint64_t id) {
  remember_last_id(id);
  rename_new(directory_of(id), path_ / prefixed(kDeleted, id));
}

void Repository::remove_discarded() noexcept {
  std::error_code error;
  for (fs::directory_iterator entry(path_, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    if (id_after(kDeleted, entry->path().filename().string())) remove_quietly(entry->path());
  }
}

std::vector<std::uint64_t> Repository::ids() const {
  std::set<std::uint64_t> ids;
  for_each_name(path_, [&](const std::string& name) {
    if (const auto id = id_of(name)) ids.insert(*id);
    if (const auto id = id_after(kReplacement, name)) ids.insert(*id);
  });
  return {ids.begin(), ids.end()};
}

std::vector<std::uint64_t> Repository::bases() const {
  std::vector<std::uint64_t> ids;
  for_each_name(path_, [&](const std::string& name) {
    if (const auto id = id_after(kBase, name)) ids.push_back(*id);
  });
  std::ranges::sort(ids);
  return ids;
}

std::unique_ptr<const CheckpointFolder> Repository::folder_of(std::uint64_t id) const {
  std::error_code error;
  const fs::path directory = directory_of(id);
  return fs::exists(directory, error) ? std::make_unique<DirectoryFolder>(directory) : nullptr;
}

std::shared_ptr<const Manifest> Repository::manifest_in(const CheckpointFolder& folder, std::uint64_t id) const {
  return read_manifest(static_cast<const DirectoryFolder&>(folder).directory(), id);
}

bool Repository::holds(const fs::path& other) const { return would_hold(path_, other); }

bool Repository::would_hold(const fs::path& directory, const fs::path& other) {
  if (S3Location::is_meant_by(other.native())) return false;
  std::error_code error;
  const fs::path outer = fs::weakly_canonical(directory_path(directory), error);
  fs::path path = fs::weakly_canonical(other, error);
  const auto found = [&] { return is_same_file(path, outer); };
  while (!found() && path.has_relative_path()) path = path.parent_path();
  return found();
}

CheckpointStore::Stamps Repository::stamps() const {
  Stamps stamps;
  for_each_name(path_, [&](const std::string& name) {
    struct stat info {};
    const bool wanted = id_of(name) || id_after(kBase, name) || id_after(kReplacement, name);
    if (wanted && ::stat((path_ / name).c_str(), &info) == 0) stamps[name] = std::to_string(info.st_ino);
  });
  return stamps;
}

std::vector<std::uint64_t> Repository::parents_of_writers() const {
  std::vector<std::uint64_t> parents;
  for_each_name(path_, [&](const std::string& name) {
    const fs::path pending = path_ / name;
    if (id_after(kPending, name) && !writer_is_dead(pending)) parents.push_back(writers_parent(pending));
  });
  return parents;
}

std::unique_ptr<CheckpointDraft> Repository::draft(const std::optional<ParentRef>& parent, Parents parents,
                                                   std::uint64_t expected_bytes) {
  if (expected_bytes != 0) require_space(path_, expected_bytes, "the checkpoint");
  return std::make_unique<DirectoryDraft>(begin(parent, parents));
}

bool Repository::merge(const MergeRun& run, const TidyOptions& options, const ProgressSink& progress) {
  return DirectoryMerge(*this, run, options.can_exchange, progress).run();
}

void Repository::write_note(std::uint64_t id, Check which, const CheckNote& note) const {
  write_check_note(directory_of(id), which, note);
}

fs::path Repository::directory_of(std::uint64_t id) const {
  std::error_code error;
  for (const std::string_view prefix : {std::string_view(), kReplacement, kBase}) {
    fs::path directory = path_ / prefixed(prefix, id);
    if (fs::exists(directory, error)) return directory;
  }
  return path_ / id_name(id);
}

Removal Repository::remove(std::uint64_t id, const ProgressSink& progress) {
  const auto step = [&] {
    if (progress) progress({"delete", 0, 1});
  };
  Removal removal;
  {
    const NamesLock lock(path_);
    tidy_names(look());
    resolve(id);
    removal.kept_as_base = Lineage(*this).is_needed(id);
    step();
    if (removal.kept_as_base) {
      rename_new(path_ / id_name(id), path_ / prefixed(kBase, id));
    } else {
      discard(id);
      removal.gone.push_back(id);
    }
    step();
    for (const std::uint64_t base : discard_unneeded_bases(progress)) removal.gone.push_back(base);
    sync_names();
  }
  step();
  remove_discarded();
  return removal;
}

void Repository::remove_all(std::span<const std::uint64_t> ids, const ProgressSink& progress) {
  remove_those(
      ids, [](std::uint64_t) { return true; }, progress);
}

void Repository::hide_brought(std::span<const std::uint64_t> ids) {
  remove_those(ids, [this](std::uint64_t id) { return was_brought_for_others(id); }, {});
}

// Under the lock, as those who hide it are: one of the two comes first.
void Repository::came_for_itself(std::uint64_t id) {
  std::error_code error;
  const fs::path base = path_ / prefixed(kBase, id);
  if (!was_brought_for_others(id) && !fs::exists(base, error)) return;
  const NamesLock lock(path_);
  note(id, Check::kBrought, check_note(false, "for itself, too"));
  if (!fs::exists(base, error)) return;
  rename_new(base, path_ / id_name(id));
  sync_names();
}

// With one look at who builds on whom. A base whose children go later on is removed at the end. Who is `wanted` is
// asked under the lock.
void Repository::remove_those(std::span<const std::uint64_t> ids, const std::function<bool(std::uint64_t)>& wanted,
                              const ProgressSink& progress) {
  const auto step = [&] {
    if (progress) progress({"delete", 0, 1});
  };
  {
    const NamesLock lock(path_);
    tidy_names(look());
    const Lineage lineage(*this);
    const std::vector<std::uint64_t> there = this->ids();
    for (const std::uint64_t id : ids) {
      if (!std::ranges::binary_search(there, id) || !wanted(id)) continue;
      step();
      if (lineage.is_needed(id)) {
        rename_new(path_ / id_name(id), path_ / prefixed(kBase, id));
      } else {
        discard(id);
      }
    }
    step();
    discard_unneeded_bases(progress);
    sync_names();
  }
  step();
  remove_discarded();
}

std::vector<std::uint64_t> Repository::remove_leftovers(const ProgressSink& progress) {
  std::vector<std::uint64_t> gone;
  {
    const NamesLock lock(path_);
    tidy_names(look());
    gone = discard_unneeded_bases(progress);
    if (!gone.empty()) sync_names();
  }
  remove_discarded();
  return gone;
}

// So that an id is never used twice, whatever was deleted. Checkpoints that are still there speak for
// themselves.
void Repository::remember_last_id(std::uint64_t id) {
  std::vector<fs::path> older;
  std::uint64_t last = 0;
  for_each_name(path_, [&](const std::string& name) {
    const auto marked = id_after(kLastId, name);
    if (!marked) return;
    last = std::max(last, *marked);
    if (*marked < id) older.push_back(path_ / name);
  });
  if (last >= id) return;
  open_file(path_ / prefixed(kLastId, id), O_WRONLY | O_CREAT, 0600);
  for (const fs::path& path : older) remove_quietly(path);
}

}  // namespace tintype
