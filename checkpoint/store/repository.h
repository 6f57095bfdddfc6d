// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/format/manifest.h"
#include "checkpoint/format/part_file.h"
#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/store/known_manifests.h"
#include "checkpoint/store/parent.h"
#include "vmm/base/progress.h"
#include "vmm/base/unique_fd.h"

namespace tintype {

class Repository;

/// A checkpoint in the making: a directory under a temporary name, locked as long as this lives, so that
/// nobody takes it for a dead writer's. Destroyed without seal(), it is removed.
class PendingCheckpoint {
 public:
  PendingCheckpoint(PendingCheckpoint&&) noexcept;
  PendingCheckpoint& operator=(PendingCheckpoint&&) = delete;
  ~PendingCheckpoint();

  std::uint64_t id() const noexcept { return id_; }
  const std::filesystem::path& directory() const noexcept { return directory_; }
  Lasting lasting() const noexcept { return lasting_; }
  /// What it builds on; nothing where it builds on nothing.
  const std::shared_ptr<const Manifest>& parent() const noexcept { return parent_; }

  /// Gives the directory its real name, for good: fsync of it, rename, fsync of the repository. The files in
  /// it must be synced already. `may`, where it is given, is asked while nobody else can seal; false where it may not.
  /// Throws tintype::Error. After either it was not sealed and can only be abandoned.
  bool seal(const std::function<bool()>& may = {});
  /// Removes all that was written. Never throws: what cannot be removed now goes when the next checkpoint is
  /// begun.
  void abandon() noexcept;

 private:
  friend class Repository;
  PendingCheckpoint(const Repository& repository, std::filesystem::path directory, std::uint64_t id, UniqueFd lock,
                    std::shared_ptr<const Manifest> parent);

  std::filesystem::path repository_, directory_;  ///< directory_ is empty when sealed or abandoned
  Lasting lasting_;
  std::uint64_t id_;
  UniqueFd lock_;
  std::shared_ptr<const Manifest> parent_;
};

/// A directory of checkpoints, `00000001/`, `00000002/`, ...
class Repository final : public CheckpointStore {
 public:
  /// Throws tintype::Error where there can never be one: the path, or what it should lie in, is a file or a device.
  static void check_place(const std::filesystem::path& path);
  /// Created where missing. Throws tintype::Error where the path is a file, or cannot be written.
  /// Manifests are read by way of `known`, where there is one.
  static Repository create(const std::filesystem::path& path, std::shared_ptr<KnownManifests> known = {});
  /// One that is there; throws tintype::Error otherwise. Needs no right to write.
  static Repository open(const std::filesystem::path& path, std::shared_ptr<KnownManifests> known = {});

  /// Whether `other` is this directory or lies within it, though neither need be there yet.
  static bool would_hold(const std::filesystem::path& directory, const std::filesystem::path& other);

  const std::filesystem::path& path() const noexcept { return path_; }
  /// Whether what is sealed here is there after a power cut: not where a file `.scratch` says that nobody needs that.
  Lasting lasting() const noexcept { return lasting_; }

  std::string name() const override { return path_.string(); }
  void require_repository() const override;
  bool holds(const std::filesystem::path& other) const override;

  /// The manifest in a directory of this repository. Throws ImageError.
  std::shared_ptr<const Manifest> read_manifest(const std::filesystem::path& directory, std::uint64_t id) const;

  /// Removes what dead writers left, takes the next id. Ids are never used twice, even where the checkpoint
  /// was deleted. The parent, where one is named, stays as long as the pending checkpoint or what becomes of it, though
  /// somebody deletes it meanwhile. Throws ParentGone where it is not there as named, and whole.
  PendingCheckpoint begin(const std::optional<ParentRef>& parent = {}, Parents parents = Parents::kListed);

  std::unique_ptr<CheckpointDraft> draft(const std::optional<ParentRef>& parent, Parents parents,
                                         std::uint64_t expected_bytes) override;

  std::vector<std::uint64_t> ids() const override;
  std::vector<std::uint64_t> bases() const override;
  std::unique_ptr<const CheckpointFolder> folder_of(std::uint64_t id) const override;
  std::shared_ptr<const Manifest> manifest_in(const CheckpointFolder& folder, std::uint64_t id) const override;
  /// Names and inodes.
  Stamps stamps() const override;
  std::vector<std::uint64_t> parents_of_writers() const override;
  /// Where the files of a checkpoint are, of a base too. Where there is none such: where they would be.
  std::filesystem::path directory_of(std::uint64_t id) const;
  std::optional<std::filesystem::path> place_beside(std::uint64_t id) const override { return directory_of(id); }
  CheckNotes notes_on(std::uint64_t id) const override { return read_check_notes(directory_of(id)); }

  /// Renamed away first.
  Removal remove(std::uint64_t id, const ProgressSink& progress = {}) override;
  void remove_all(std::span<const std::uint64_t> ids, const ProgressSink& progress = {}) override;
  void hide_brought(std::span<const std::uint64_t> ids) override;
  void came_for_itself(std::uint64_t id) override;
  std::vector<std::uint64_t> remove_leftovers(const ProgressSink& progress = {}) override;
  bool merge(const MergeRun& run, const TidyOptions& options, const ProgressSink& progress) override;

 protected:
  void write_note(std::uint64_t id, Check which, const CheckNote& note) const override;

 private:
  void remove_those(std::span<const std::uint64_t> ids, const std::function<bool(std::uint64_t)>& wanted,
                    const ProgressSink& progress);
  Repository(std::filesystem::path path, std::shared_ptr<KnownManifests> known);
  friend class DirectoryMerge;
  /// What one look at all names finds.
  struct Names {
    std::vector<std::string> in_the_making, replacements;
    bool bases = false, discarded = false;
    std::uint64_t last_id = 0;  ///< the highest of all others
  };
  Names look() const;
  void tidy_names(const Names& names);
  std::uint64_t last_id(const Names& names) const;
  std::vector<std::uint64_t> discard_unneeded_bases(const ProgressSink& progress);
  void discard(std::uint64_t id);
  void remove_discarded() noexcept;
  std::shared_ptr<const Manifest> require_parent(const ParentRef& parent, Parents parents) const;
  void remember_last_id(std::uint64_t id);
  void sync_names() const;

  std::filesystem::path path_;
  Lasting lasting_;
  std::shared_ptr<KnownManifests> known_;
};

}  // namespace tintype
