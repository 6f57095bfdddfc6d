// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/format/manifest.h"
#include "checkpoint/store/check_notes.h"
#include "checkpoint/store/checkpoint_draft.h"
#include "checkpoint/store/checkpoint_folder.h"
#include "checkpoint/store/known_manifests.h"
#include "checkpoint/store/parent.h"
#include "checkpoint/store/tidy.h"
#include "vmm/base/progress.h"

namespace tintype {

/// What became of a checkpoint that was deleted, and what went with it.
struct Removal {
  bool kept_as_base = false;        ///< others build on it: it is listed no more, and stays until they need it no more
  std::vector<std::uint64_t> gone;  ///< with all their data, this one or bases that nobody needs any more
};

/// What a new checkpoint may build on: what is listed; or what was deleted, too, and is there for others.
enum class Parents : std::uint8_t { kListed, kDeletedToo };

/// Where numbered checkpoints lie: a directory (Repository), or a bucket of an object store (ObjectStore). Several
/// machines may write to one at the same time.
class CheckpointStore {
 public:
  virtual ~CheckpointStore() = default;

  /// As people name it: "/srv/film", "s3://bucket/film".
  virtual std::string name() const = 0;
  /// Throws tintype::Error where no checkpoint was ever begun here.
  virtual void require_repository() const = 0;
  /// Whether the store of that name, which need not be there yet, is this one or lies within it.
  virtual bool holds(const std::filesystem::path& other) const = 0;

  /// All ids, ascending; checkpoints that are damaged too.
  virtual std::vector<std::uint64_t> ids() const = 0;
  /// Those that were deleted and that others build on, ascending.
  virtual std::vector<std::uint64_t> bases() const = 0;
  /// The one asked for, or the newest. Throws tintype::Error where there is none such.
  std::uint64_t resolve(std::optional<std::uint64_t> id) const;

  /// The files of a checkpoint, of a base too; nothing where there is none such.
  virtual std::unique_ptr<const CheckpointFolder> folder_of(std::uint64_t id) const = 0;
  /// What a folder of this store says of itself. Throws ImageError where it is damaged; so does the other, and where
  /// there is none such.
  virtual std::shared_ptr<const Manifest> manifest_in(const CheckpointFolder& folder, std::uint64_t id) const;
  std::shared_ptr<const Manifest> manifest_of(std::uint64_t id) const;

  /// What came of looking at a checkpoint again; nothing where nobody did, or where it cannot be read.
  virtual CheckNotes notes_on(std::uint64_t id) const = 0;
  /// Keeps it beside the checkpoint. Where that cannot be done, as in a store that may only be read, it is left out.
  void note(std::uint64_t id, Check which, const CheckNote& note) const noexcept;

  /// Of a store that is a directory: where files may be put beside the checkpoint; elsewhere nothing.
  virtual std::optional<std::filesystem::path> place_beside(std::uint64_t) const { return std::nullopt; }

  /// For each checkpoint and base something that changes with what lies there: as long as those that were there are
  /// there still, nothing was deleted or replaced.
  using Stamps = std::map<std::string, std::string>;
  virtual Stamps stamps() const = 0;
  /// What writers that are at work build on.
  virtual std::vector<std::uint64_t> parents_of_writers() const = 0;
  /// What there is, in one look. Writers are asked for first: one who seals meanwhile is seen as the one or the other.
  struct Inventory {
    struct Member {
      bool base = false;                         ///< deleted, and listed no more
      std::shared_ptr<const Manifest> manifest;  ///< nothing where it cannot be read
    };
    std::map<std::uint64_t, Member> members;
    std::vector<std::uint64_t> parents_of_writers;
  };
  virtual Inventory inventory() const;

  /// Removes what dead writers left, and begins the next one. The parent, where one is named, stays as long as the
  /// draft or what becomes of it, though somebody deletes it meanwhile. Throws ParentGone where it is not there as
  /// named, and whole; tintype::Error where so many bytes have no room, as far as that can be known (0: not asked).
  virtual std::unique_ptr<CheckpointDraft> draft(const std::optional<ParentRef>& parent, Parents parents,
                                                 std::uint64_t expected_bytes) = 0;

  /// Gone at once or not at all; so are bases that only it needed. Throws tintype::Error where there is none such. The
  /// sink is called between any two steps.
  virtual Removal remove(std::uint64_t id, const ProgressSink& progress = {}) = 0;
  /// The same for several, ascending, of which each is gone at once or not at all. What is not there any more is passed
  /// over.
  virtual void remove_all(std::span<const std::uint64_t> ids, const ProgressSink& progress = {}) = 0;
  /// Of these, what was brought for others that build on it, and for nothing else (CheckNotes::brought): it is listed
  /// no more, or goes where nobody needs it.
  virtual void hide_brought(std::span<const std::uint64_t> ids) = 0;
  /// One that is there was brought once more, for itself: it stays listed; one that is there for others is listed from
  /// now on, in a directory (an object store cannot do that at once).
  virtual void came_for_itself(std::uint64_t id) = 0;
  bool was_brought_for_others(std::uint64_t id) const;
  /// Verifying it has shown that.
  bool is_known_to_be_damaged(std::uint64_t id) const;
  /// What dead processes left, and bases that nobody needs any more, whose ids it returns.
  virtual std::vector<std::uint64_t> remove_leftovers(const ProgressSink& progress = {}) = 0;
  /// Makes one checkpoint of one that is listed and of bases below it, with the same id and identity, and puts it into
  /// its place at once. False where somebody else is at it, or has changed what it is made of meanwhile: then nothing
  /// has happened. Throws ImageError, DestinationFull, Error.
  virtual bool merge(const MergeRun& run, const TidyOptions& options, const ProgressSink& progress) = 0;

 protected:
  /// Throws ParentDamaged where it is.
  void refuse_known_damage(std::uint64_t id) const;
  virtual void write_note(std::uint64_t id, Check which, const CheckNote& note) const = 0;
};

/// By its name: `s3://BUCKET/PREFIX`, or a directory. Throws tintype::Error where it is not there. Needs no right to
/// write.
std::unique_ptr<CheckpointStore> open_store(const std::filesystem::path& name,
                                            std::shared_ptr<KnownManifests> known = {});
/// Of a directory that was a repository: what would be made in the place of one whose device is gone is not that one.
/// Throws tintype::Error where it is none any more. A bucket lies on no device, and its store says itself that it is
/// away.
void require_still_there(const std::filesystem::path& name);
/// Made where it is missing. Throws tintype::Error. Manifests are read by way of `known`, where there is one.
std::unique_ptr<CheckpointStore> create_store(const std::filesystem::path& name,
                                              std::shared_ptr<KnownManifests> known = {});
/// The same as CheckpointStore::holds(), of a store that need not be there yet.
bool store_would_hold(const std::filesystem::path& name, const std::filesystem::path& other);
/// Throws tintype::Error, in the words of create_store(), where a store of that name can never be: it is a file or a
/// device. One that is not there yet may come.
void check_store_place(const std::filesystem::path& name);

}  // namespace tintype
