// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/object_draft.h"

#include <algorithm>

#include "checkpoint/store/object_folder.h"
#include "checkpoint/store/object_names.h"
#include "checkpoint/store/parent.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

using namespace object_names;

/// Of who cleans up where nobody waits for what comes of it.
constexpr std::chrono::seconds kCleaningPatience{2};

}  // namespace

ObjectDraft::ObjectDraft(std::shared_ptr<S3Client> store, std::string token, std::unique_ptr<WriterLease> lease,
                         std::uint64_t id)
    : store_(std::move(store)),
      client_(store_->location(), store_->credentials()),
      token_(std::move(token)),
      lease_(std::move(lease)),
      id_(id) {}

ObjectDraft::~ObjectDraft() { abandon(); }

std::shared_ptr<PartOutput> ObjectDraft::create(const std::string& file, std::uint64_t content_bytes) {
  return std::make_shared<ObjectOutput>(client_, pool_, folder(token_) + file, content_bytes,
                                        [this] { lease_->renew_if_due(); });
}

void ObjectDraft::put(const std::string& file, std::span<const std::byte> bytes) {
  lease_->renew_if_due();
  client_.put(folder(token_) + file, Pieces{bytes});
}

std::unique_ptr<const CheckpointFolder> ObjectDraft::written() const {
  return std::make_unique<ObjectFolder>(store_, std::make_shared<PieceCache>(store_), token_, "");
}

// The data is looked at once more, as the store has it; then this writer says which id it takes, and takes it. Of those
// whom `may` keeps apart each wants the id that is free just now: one of them takes it, and the others ask once more.
bool ObjectDraft::seal(Manifest& manifest, const std::function<void()>& sync_parts, const std::function<bool()>& may) {
  sync_parts();
  check_files(manifest);
  if (may) id_ = free_id(id_);
  for (;; id_ = free_id(id_ + 1)) {
    if (may && !may()) return false;
    manifest.id = manifest.report.id = id_;
    lease_->note_sealing(id_);
    check_parent();
    if (try_seal(encode({token_, encode_manifest(manifest)})) == Outcome::kSealed) break;
  }
  over_ = true;
  put_remarks();
  try {
    client_.remove(lease_->name());
  } catch (const std::exception&) {  // whoever finds it sees that this was sealed
  }
  return true;
}

/// Once it is known which id it has.
void ObjectDraft::put_remarks() noexcept {
  try {
    for (const auto& [which, note] : remarks_)
      client_.put(with_id(id_, kind_of(which)), encode({token_, encode_note(note)}));
  } catch (const std::exception&) {  // they are remarks, and may be missing
  }
}

void ObjectDraft::check_files(const Manifest& manifest) const {
  const auto files = written()->files();
  for (const PartDescription& part : manifest.parts) {
    const auto found = files.find(part.file);
    const std::uint64_t bytes = found == files.end() ? 0 : found->second;
    if (bytes != part.summary.file_bytes)
      throw Error("{} has {} bytes of {} instead of {}: take the checkpoint again", store_->location().name(), bytes,
                  part.file, part.summary.file_bytes);
  }
}

/// Whoever deletes it has seen this writer's mark, or this writer sees that it is gone.
void ObjectDraft::check_parent() const {
  if (!parent_) return;
  for (const std::string_view kind : {kSealKind, kBaseKind})
    if (store_->size_of(with_id(parent_->id, kind))) return;
  throw ParentGone("checkpoint {} is not in {} any more, and nothing can build on it", parent_->id,
                   store_->location().name());
}

ObjectDraft::Outcome ObjectDraft::try_seal(const std::string& text) {
  const std::string name = with_id(id_, kSealKind);
  sealing_ = true;
  try {
    switch (client_.create(name, text)) {
      case S3Client::Created::kYes:
        return Outcome::kSealed;
      case S3Client::Created::kTaken:
        break;
      case S3Client::Created::kCannotSay:  // looked first, then: good for one writer at a time
        if (!client_.size_of(name)) client_.put(name, text);
        break;
    }
  } catch (const NoAnswer&) {
    if (!is_ours(id_)) throw;
  } catch (...) {
    sealing_ = false;  // refused
    throw;
  }
  if (is_ours(id_)) return Outcome::kSealed;
  sealing_ = false;
  return Outcome::kTaken;
}

bool ObjectDraft::replace(const Manifest& manifest, const std::string& tag, const std::function<bool()>& may) {
  check_files(manifest);
  lease_->note_sealing(id_);
  if (!may() || !try_replace(encode({token_, encode_manifest(manifest)}), tag)) return false;
  over_ = true;
  return true;
}

/// Whether it was looked at before is the caller's business: a store that knows no conditions is good for one who
/// merges or deletes at a time.
bool ObjectDraft::try_replace(const std::string& text, const std::string& tag) {
  const std::string name = with_id(id_, kSealKind);
  sealing_ = true;
  try {
    switch (client_.replace(name, tag, text)) {
      case S3Client::Replaced::kYes:
        return true;
      case S3Client::Replaced::kChanged:
        break;
      case S3Client::Replaced::kCannotSay:
        client_.put(name, text);
        return true;
    }
  } catch (const NoAnswer&) {
    if (!is_ours(id_)) throw;
  } catch (...) {
    sealing_ = false;  // refused
    throw;
  }
  sealing_ = is_ours(id_);
  return sealing_;
}

bool ObjectDraft::is_ours(std::uint64_t id) const {
  const auto content = store_->get(with_id(id, kSealKind));
  const auto seal = content ? decode(content->bytes) : std::nullopt;
  return seal && seal->token == token_;
}

std::uint64_t ObjectDraft::free_id(std::uint64_t least) const {
  std::uint64_t last = least - 1;
  for (const S3Client::Object& object : store_->list("", false).objects)
    for (const std::string_view kind : {kSealKind, kBaseKind, kLastIdKind})
      last = std::max(last, id_of(object.name, kind).value_or(0));
  return last + 1;
}

// Where a seal was on its way nobody knows whether it arrives: then all stays as it is. Whoever finds the mark later
// sees whether there is one.
void ObjectDraft::abandon() noexcept {
  if (std::exchange(over_, true)) return;
  client_.stop();
  pool_.end();
  if (sealing_) return;
  try {
    S3Client cleaner(store_->location(), store_->credentials(), kCleaningPatience);
    remove_object_folder(cleaner, token_);
    cleaner.remove(lease_->name());
  } catch (const std::exception&) {  // whoever comes next removes it
  }
}

void remove_object_folder(S3Client& client, const std::string& token) {
  const std::string where = folder(token);
  for (const S3Client::Upload& upload : client.uploads(where)) client.abort_upload(upload.name, upload.id);
  for (const S3Client::Object& object : client.list(where, true).objects) client.remove(object.name);
}

}  // namespace tintype
