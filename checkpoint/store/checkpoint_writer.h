// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/format/part_format.h"
#include "checkpoint/format/part_writer.h"
#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/store/checkpoint_target.h"
#include "checkpoint/store/fresh_store.h"

namespace tintype {

struct NewCheckpoint {
  std::filesystem::path repository;
  Compression compression = Compression::kNone;
  std::uint64_t memory_bytes = 0;
  std::vector<DiskDescription> disks;  ///< id and size are looked at
  std::uint64_t expected_bytes = 0;    ///< refused where the destination has less room; 0: not checked
  std::uint64_t most_bytes = 0;        ///< a concern where it has less; 0: not checked
  /// What it builds on; then a part holds what changed since, unless it is named in `full_parts` ("memory", "disk0"),
  /// or is a disk that the parent has not, or not of this size.
  std::optional<ParentRef> parent{};
  std::vector<std::string> full_parts{};
  /// Some of memory is written more than once, and what was written before is dropped.
  bool rewrites = false;
  /// What whoever takes one checkpoint after another keeps between them; or nothing.
  std::shared_ptr<KnownManifests> known{};
};

/// A checkpoint in a store. All files are created by the constructor, while the guest still runs, so that nothing is
/// left for the pause.
class CheckpointWriter final : public CheckpointTarget {
 public:
  /// Throws tintype::Error: destination is a file, unwritable, too small. ParentGone: only a full one can be taken.
  explicit CheckpointWriter(const NewCheckpoint& options);

  std::uint64_t id() const noexcept override { return draft_->id(); }
  const std::string& identity() const noexcept override { return identity_; }
  std::string concern() const override { return concern_; }

  PartWriter& memory_part() override { return *memory_; }
  PartWriter& disk_part(std::string_view id) override;
  void write_state(std::span<const NamedState> states) override;
  void sync() override;
  Manifest seal(Manifest manifest) override;

  void abandon() noexcept;

 private:
  struct DiskPart {
    std::string id;
    std::unique_ptr<PartWriter> part;
  };
  void look_for_room(const NewCheckpoint& options);
  void create_parts(const NewCheckpoint& options);
  std::vector<PartWriter*> parts();
  std::vector<PartDescription> describe_parts() const;

  const FreshStore fresh_;  // destroyed last
  const std::unique_ptr<CheckpointStore> store_;
  const std::unique_ptr<CheckpointDraft> draft_;  // destroyed after the parts below, which it removes
  const std::string identity_ = new_identity();
  const std::optional<ParentRef> parent_;
  std::string concern_;
  std::unique_ptr<PartWriter> memory_;
  std::vector<DiskPart> disks_;
  PartSummary state_;
  bool synced_ = false;
};

}  // namespace tintype
