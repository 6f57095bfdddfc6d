// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "checkpoint/s3/client.h"
#include "checkpoint/s3/object_output.h"
#include "checkpoint/s3/object_source.h"
#include "checkpoint/s3/task_pool.h"
#include "checkpoint/s3/writer_lease.h"
#include "checkpoint/store/checkpoint_draft.h"

namespace tintype {

/// In a folder that nobody else writes to, which no seal names yet.
class ObjectDraft final : public CheckpointDraft {
 public:
  /// Under this token the writer's mark has been put down already.
  ObjectDraft(std::shared_ptr<S3Client> store, std::string token, std::unique_ptr<WriterLease> lease, std::uint64_t id);
  ~ObjectDraft() override;

  std::uint64_t id() const noexcept override { return id_; }
  const std::shared_ptr<const Manifest>& parent() const noexcept override { return parent_; }
  void builds_on(std::shared_ptr<const Manifest> parent) { parent_ = std::move(parent); }

  std::shared_ptr<PartOutput> create(const std::string& file, std::uint64_t content_bytes) override;
  void put(const std::string& file, std::span<const std::byte> bytes) override;
  void remark(Check which, const CheckNote& note) override { remarks_.emplace_back(which, note); }
  std::unique_ptr<const CheckpointFolder> written() const override;
  bool seal(Manifest& manifest, const std::function<void()>& sync_parts, const std::function<bool()>& may) override;
  /// Takes the place of the checkpoint that has this id, whose seal must still have this tag. `may` is asked once it
  /// has been said that this is going to happen. False where it may not, or where the seal is another one: then nothing
  /// has happened. The mark stays.
  bool replace(const Manifest& manifest, const std::string& tag, const std::function<bool()>& may);
  void remove_mark() { client_.remove(lease_->name()); }
  void abandon() noexcept override;

 private:
  void put_remarks() noexcept;
  enum class Outcome : std::uint8_t { kSealed, kTaken };
  void check_files(const Manifest& manifest) const;
  void check_parent() const;
  Outcome try_seal(const std::string& text);
  bool try_replace(const std::string& text, const std::string& tag);
  bool is_ours(std::uint64_t id) const;
  std::uint64_t free_id(std::uint64_t least) const;

  const std::shared_ptr<S3Client> store_;  ///< for what must be said though this is ended
  S3Client client_;                        ///< for all that goes when this is ended
  const std::string token_;
  const std::unique_ptr<WriterLease> lease_;
  std::uint64_t id_;
  std::shared_ptr<const Manifest> parent_;
  std::vector<std::pair<Check, CheckNote>> remarks_;
  bool sealing_ = false;  ///< a seal may have been written, or may come yet
  bool over_ = false;     ///< sealed, or abandoned
  TaskPool pool_{4};      // last: its threads are gone before the rest is
};

/// All that lies in a folder, parts that were never put together too. Throws tintype::Error.
void remove_object_folder(S3Client& client, const std::string& token);

}  // namespace tintype
