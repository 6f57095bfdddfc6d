// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/s3/client.h"
#include "checkpoint/s3/known_objects.h"
#include "checkpoint/s3/object_source.h"
#include "checkpoint/s3/writer_lease.h"
#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/store/object_folder.h"

namespace tintype {

/// A bucket of an object store, or what lies there under a prefix. Its own engine keeps the data; here is only what
/// makes objects into checkpoints: who writes puts his data into a folder of his own, and at the end one object, the
/// seal, under the checkpoint's id.
class ObjectStore final : public CheckpointStore {
 public:
  explicit ObjectStore(const S3Location& location);

  std::string name() const override { return client_->location().name(); }
  void require_repository() const override;
  bool holds(const std::filesystem::path& other) const override;
  std::vector<std::uint64_t> ids() const override;
  std::vector<std::uint64_t> bases() const override;
  std::unique_ptr<const CheckpointFolder> folder_of(std::uint64_t id) const override;
  Stamps stamps() const override;
  std::vector<std::uint64_t> parents_of_writers() const override;
  Inventory inventory() const override { return inventory(writers(), look()); }
  std::unique_ptr<CheckpointDraft> draft(const std::optional<ParentRef>& parent, Parents parents,
                                         std::uint64_t expected_bytes) override;
  Removal remove(std::uint64_t id, const ProgressSink& progress = {}) override;
  void remove_all(std::span<const std::uint64_t> ids, const ProgressSink& progress = {}) override;
  CheckNotes notes_on(std::uint64_t id) const override;
  void hide_brought(std::span<const std::uint64_t> ids) override;
  void came_for_itself(std::uint64_t id) override;
  std::vector<std::uint64_t> remove_leftovers(const ProgressSink& progress = {}) override;
  bool merge(const MergeRun& run, const TidyOptions& options, const ProgressSink& progress) override;

  /// What one look at all names finds.
  struct Look {
    std::map<std::uint64_t, std::string> seals, bases;  ///< their tags
    std::vector<S3Client::Object> writers, deleted;     ///< their marks
    std::set<std::string> names;                        ///< all, but for what lies in folders
    std::uint64_t last_id = 0;
    std::int64_t now = 0;
  };
  Look look() const;
  struct Writer {
    std::string name;
    WriterMark mark;
    bool dead = false;
  };
  std::shared_ptr<S3Client> client() const { return client_; }

 protected:
  void write_note(std::uint64_t id, Check which, const CheckNote& note) const override;

 private:
  friend class ObjectMerge;
  friend class ObjectRemoval;
  std::unique_ptr<ObjectFolder> read_seal(std::uint64_t id) const;
  /// As it was seen, or as it is by now.
  std::unique_ptr<ObjectFolder> read_seal(std::uint64_t id, const Look& look) const;
  std::unique_ptr<ObjectFolder> folder_in(const std::string& name, const std::string& text) const;
  bool is_sealed_as(const std::string& token, std::uint64_t id) const;
  std::vector<Writer> writers() const;
  std::vector<Writer> writers_in(const Look& look) const;
  Writer writer_of(const S3Client::Object& mark, std::int64_t now) const;
  Inventory inventory(const std::vector<Writer>& writers, const Look& look) const;
  void remove_leftovers(const Look& look);
  void remove_leftover_marks(const Look& look);
  void remove_folder(const std::string& token);
  enum class Absent : std::uint8_t { kRefused, kPassedOver };  ///< what is to be deleted and is not there
  Removal discard(std::set<std::uint64_t> ids, Absent absent, const ProgressSink& progress);
  std::shared_ptr<const Manifest> require_parent(const ParentRef& parent, Parents parents, const Look& look) const;

  const std::shared_ptr<S3Client> client_;
  const std::shared_ptr<PieceCache> cache_;
  const std::shared_ptr<KnownObjects> known_;  ///< seals
};

}  // namespace tintype
