// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "checkpoint/store/checkpoint_draft.h"
#include "checkpoint/store/repository.h"
#include "checkpoint/store/small_file.h"

namespace tintype {

/// In a directory under a temporary name.
class DirectoryDraft final : public CheckpointDraft {
 public:
  explicit DirectoryDraft(PendingCheckpoint pending) : pending_(std::move(pending)) {}
  std::uint64_t id() const noexcept override { return pending_.id(); }
  const std::shared_ptr<const Manifest>& parent() const noexcept override { return pending_.parent(); }
  std::shared_ptr<PartOutput> create(const std::string& file, std::uint64_t content_bytes) override;
  void put(const std::string& file, std::span<const std::byte> bytes) override;
  void remark(Check which, const CheckNote& note) override;
  std::unique_ptr<const CheckpointFolder> written() const override;
  bool seal(Manifest& manifest, const std::function<void()>& sync_parts, const std::function<bool()>& may) override;
  void abandon() noexcept override { pending_.abandon(); }

 private:
  PendingCheckpoint pending_;           // destroyed last: it removes the directory of the files below
  std::vector<SmallFile> small_files_;  ///< to be synced
};

}  // namespace tintype
