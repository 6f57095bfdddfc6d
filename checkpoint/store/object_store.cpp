// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/object_store.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <thread>

#include "checkpoint/store/chain.h"
#include "checkpoint/store/lineage.h"
#include "checkpoint/store/object_draft.h"
#include "checkpoint/store/object_merge.h"
#include "checkpoint/store/object_names.h"
#include "checkpoint/store/open_checkpoint.h"
#include "vmm/base/error.h"

namespace tintype {

using namespace object_names;

namespace {

using namespace std::chrono_literals;

/// For somebody who merges what is going to be deleted.
constexpr std::chrono::milliseconds kMergePatience = 30s, kMergePause = 200ms;

/// A remark is an object of its own, so that two that are made at the same time are both kept.
struct Remark {
  Check which;
  std::string_view kind;
};
constexpr std::array kRemarks{Remark{Check::kVerified, kVerifiedKind}, Remark{Check::kDrilled, kDrilledKind}};

std::chrono::seconds silence_of(const S3Client::Object& object, std::int64_t now) {
  return std::chrono::seconds(std::max<std::int64_t>(0, now - object.modified));
}

std::uint64_t number_in(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

ObjectStore::ObjectStore(const S3Location& location)
    : client_(std::make_shared<S3Client>(location, find_credentials(location.profile))),
      cache_(std::make_shared<PieceCache>(client_)) {}

ObjectStore::Look ObjectStore::look() const {
  const S3Client::Listing listing = client_->list("", false);
  Look look;
  look.now = listing.now;
  for (const S3Client::Object& object : listing.objects) {
    if (const auto id = id_of(object.name, kSealKind)) look.seals[*id] = object.tag;
    if (const auto id = id_of(object.name, kBaseKind)) look.bases[*id] = object.tag;
    for (const Remark& remark : kRemarks)
      if (const auto id = id_of(object.name, remark.kind)) look.remarks.insert(*id);
    if (token_of(object.name, kWriterMark)) look.writers.push_back(object);
    if (token_of(object.name, kDeletedMark)) look.deleted.push_back(object);
    for (const std::string_view kind : {kSealKind, kBaseKind, kLastIdKind})
      look.last_id = std::max(look.last_id, id_of(object.name, kind).value_or(0));
  }
  for (const auto& [id, tag] : look.seals) look.bases.erase(id);
  return look;
}

void ObjectStore::require_repository() const {
  const Look found = look();
  if (found.last_id == 0 && found.writers.empty())
    throw Error("{} is no repository: name what was given to checkpoint --to", name());
}

bool ObjectStore::is_same(const CheckpointStore& other) const {
  const auto* const store = dynamic_cast<const ObjectStore*>(&other);
  if (store == nullptr) return false;
  const S3Location &ours = client_->location(), &theirs = store->client_->location();
  return ours.endpoint == theirs.endpoint && ours.bucket == theirs.bucket && ours.prefix == theirs.prefix;
}

std::vector<std::uint64_t> ObjectStore::ids() const {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, tag] : look().seals) ids.push_back(id);
  return ids;
}

std::vector<std::uint64_t> ObjectStore::bases() const {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, tag] : look().bases) ids.push_back(id);
  return ids;
}

CheckpointStore::Stamps ObjectStore::stamps() const {
  const Look found = look();
  Stamps stamps;
  for (const auto& [id, tag] : found.seals) stamps[with_id(id, kSealKind)] = tag;
  for (const auto& [id, tag] : found.bases) stamps[with_id(id, kBaseKind)] = tag;
  return stamps;
}

std::unique_ptr<ObjectFolder> ObjectStore::read_seal(std::uint64_t id) const {
  for (const std::string_view kind : {kSealKind, kBaseKind}) {
    const auto content = client_->get(with_id(id, kind));
    if (!content) continue;
    auto seal = decode(content->bytes);
    if (!seal) throw ImageError("{}/{} is damaged, or no checkpoint's", name(), with_id(id, kind));
    return std::make_unique<ObjectFolder>(client_, cache_, std::move(seal->token), std::move(seal->manifest));
  }
  return nullptr;
}

std::unique_ptr<const CheckpointFolder> ObjectStore::folder_of(std::uint64_t id) const { return read_seal(id); }

bool ObjectStore::is_sealed_as(const std::string& token, std::uint64_t id) const {
  try {
    const auto folder = id == 0 ? nullptr : read_seal(id);
    return folder && folder->token() == token;
  } catch (const ImageError&) {
    return true;  // nobody knows whose it is
  }
}

std::vector<std::uint64_t> ObjectStore::parents_of_writers() const {
  const Look found = look();
  std::vector<std::uint64_t> parents;
  for (const S3Client::Object& writer : found.writers) {
    const auto content = client_->get(writer.name);
    const WriterMark mark = WriterMark::parse(content ? content->bytes : "");
    if (content && mark.parent != 0 && !mark.is_dead(silence_of(writer, found.now))) parents.push_back(mark.parent);
  }
  return parents;
}

// The mark comes first and the look at what there is second, and whoever deletes does it in the same order: so at least
// one of the two sees the other.
std::unique_ptr<CheckpointDraft> ObjectStore::draft(const std::optional<ParentRef>& parent, Parents parents,
                                                    std::uint64_t) {
  const std::string token = new_identity();
  WriterMark mark = WriterMark::of_this_process();
  mark.parent = parent ? parent->id : 0;
  auto lease = std::make_unique<WriterLease>(*client_, std::string(kWriterMark) + token, mark);
  const Look found = look();
  auto draft = std::make_unique<ObjectDraft>(client_, token, std::move(lease), found.last_id + 1);
  remove_leftovers(found);
  if (parent) draft->builds_on(require_parent(*parent, parents, found));
  return draft;
}

// What it builds on stays as long as it does, and need not be looked at. Where it was merged while it was looked at, it
// is the same checkpoint in another folder.
std::shared_ptr<const Manifest> ObjectStore::require_parent(const ParentRef& parent, Parents parents,
                                                            const Look& look) const {
  const bool there =
      look.seals.contains(parent.id) || (parents == Parents::kDeletedToo && look.bases.contains(parent.id));
  std::shared_ptr<const ObjectFolder> folder = there ? read_seal(parent.id) : nullptr;
  const std::string mark = folder ? std::string(kDeletedMark) + folder->token() : "";
  if (!folder || std::ranges::find(look.deleted, mark, &S3Client::Object::name) != look.deleted.end())
    throw ParentGone("checkpoint {} is not in {} any more, and nothing can build on it", parent.id, name());
  for (;;) {
    try {
      auto manifest = manifest_in(*folder, parent.id);
      if (manifest->identity != parent.identity)
        throw ParentGone("checkpoint {} in {} is another one than was meant", parent.id, name());
      check_files({folder, manifest});
      return manifest;
    } catch (const ImageError& error) {
      std::shared_ptr<const ObjectFolder> now = read_seal(parent.id);
      if (!now || now->token() == folder->token())
        throw ParentGone("nothing can build on checkpoint {}: {}", parent.id, error.what());
      folder = std::move(now);
    }
  }
}

void ObjectStore::remove_folder(const std::string& token) { remove_object_folder(*client_, token); }

/// What dead writers left, and who died in the middle of merging or deleting.
void ObjectStore::remove_leftovers(const Look& look) {
  for (const S3Client::Object& writer : look.writers) {
    const auto content = client_->get(writer.name);
    if (!content) continue;
    const WriterMark mark = WriterMark::parse(content->bytes);
    const std::string token = *token_of(writer.name, kWriterMark);
    const bool sealed = is_sealed_as(token, mark.sealing);
    if (!mark.is_dead(silence_of(writer, look.now)) && !(sealed && mark.is_gone())) continue;
    if (!sealed) remove_folder(token);
    const bool has_replaced = is_token(mark.replaces) && mark.sealing != 0;
    if (has_replaced && !is_sealed_as(mark.replaces, mark.sealing)) remove_folder(mark.replaces);
    client_->remove(writer.name);
  }
  remove_leftover_marks(look);
}

void ObjectStore::remove_leftover_marks(const Look& look) {
  for (const S3Client::Object& deleted : look.deleted) {
    const auto content = client_->get(deleted.name);
    if (!content) continue;
    const std::string token = *token_of(deleted.name, kDeletedMark);
    if (!is_sealed_as(token, number_in(content->bytes)))
      remove_folder(token);
    else if (silence_of(deleted, look.now) < WriterLease::kDeadAfter)
      continue;  // it is being decided
    client_->remove(deleted.name);
  }
  for (const std::uint64_t id : look.remarks)
    if (!look.seals.contains(id)) remove_remarks(id);
}

void ObjectStore::remove_remarks(std::uint64_t id) {
  for (const std::string_view kind : {kVerifiedKind, kDrilledKind}) client_->remove(with_id(id, kind));
}

/// Somebody has said that he puts another folder into its place, and it is not to be seen yet whether he has.
bool ObjectStore::is_being_replaced(std::uint64_t id, const std::string& token) const {
  const Look found = look();
  return std::ranges::any_of(found.writers, [&](const S3Client::Object& writer) {
    const auto content = client_->get(writer.name);
    const WriterMark mark = WriterMark::parse(content ? content->bytes : "");
    return content && mark.sealing == id && mark.replaces == token && !mark.is_dead(silence_of(writer, found.now));
  });
}

// Who merges says that he is going to put it into its place, and looks then whether somebody deletes; this one does it
// the other way round. So either he gives way, or he is waited for: that takes moments, unless he was killed in them.
std::unique_ptr<ObjectFolder> ObjectStore::mark_as_deleted(std::uint64_t id) {
  const auto end = std::chrono::steady_clock::now() + kMergePatience;
  for (;;) {
    auto folder = read_seal(id);
    if (!folder) return nullptr;
    const std::string mark = std::string(kDeletedMark) + folder->token();
    client_->put(mark, std::to_string(id));
    const bool replaced = is_being_replaced(id, folder->token());
    const auto now = read_seal(id);
    if (!replaced && now && now->token() == folder->token()) return folder;
    client_->remove(mark);
    if (std::chrono::steady_clock::now() > end)
      throw Error("checkpoint {} in {} is being merged with others, or who did that was killed: delete it again later",
                  id, name());
    std::this_thread::sleep_for(kMergePause);
  }
}

// Says first what is going to be deleted, and looks then who needs it. False where somebody does.
bool ObjectStore::discard(std::uint64_t id) {
  const auto folder = mark_as_deleted(id);
  if (!folder) return true;
  const std::string mark = std::string(kDeletedMark) + folder->token();
  if (Lineage(*this).is_needed(id)) {
    client_->put(with_id(id, kBaseKind), encode({folder->token(), folder->manifest()}));
    client_->remove(with_id(id, kSealKind));
    remove_remarks(id);
    client_->remove(mark);
    return false;
  }
  remember_last_id(id);
  client_->remove(with_id(id, kSealKind));
  client_->remove(with_id(id, kBaseKind));
  remove_remarks(id);
  remove_folder(folder->token());
  client_->remove(mark);
  return true;
}

/// So that an id is never used twice. Those that are still there speak for themselves.
void ObjectStore::remember_last_id(std::uint64_t id) {
  std::vector<std::string> older;
  std::uint64_t last = 0;
  for (const S3Client::Object& object : client_->list("", false).objects) {
    const auto marked = id_of(object.name, kLastIdKind);
    if (!marked) continue;
    last = std::max(last, *marked);
    if (*marked < id) older.push_back(object.name);
  }
  if (last >= id) return;
  client_->put(with_id(id, kLastIdKind), "-");
  for (const std::string& name : older) client_->remove(name);
}

std::vector<std::uint64_t> ObjectStore::discard_unneeded_bases(const ProgressSink& progress) {
  std::vector<std::uint64_t> gone;
  if (bases().empty()) return gone;
  for (const std::uint64_t id : Lineage(*this).unneeded_bases()) {
    if (discard(id)) gone.push_back(id);
    if (progress) progress({"delete", 0, 1});
  }
  return gone;
}

Removal ObjectStore::remove(std::uint64_t id, const ProgressSink& progress) {
  const auto step = [&] {
    if (progress) progress({"delete", 0, 1});
  };
  step();
  remove_leftovers(look());
  resolve(id);
  Removal removal;
  removal.kept_as_base = !discard(id);
  if (!removal.kept_as_base) removal.gone.push_back(id);
  step();
  for (const std::uint64_t base : discard_unneeded_bases(progress)) removal.gone.push_back(base);
  return removal;
}

std::vector<std::uint64_t> ObjectStore::remove_leftovers(const ProgressSink& progress) {
  remove_leftovers(look());
  return discard_unneeded_bases(progress);
}

bool ObjectStore::merge(const MergeRun& run, const TidyOptions&, const ProgressSink& progress) {
  return ObjectMerge(*this, run, progress).run();
}

CheckNotes ObjectStore::notes_on(std::uint64_t id) const {
  CheckNotes notes;
  try {
    const auto there = client_->list(with_id(id, "."), false).objects;
    for (const auto& [which, kind] : kRemarks) {
      const std::string object = with_id(id, kind);
      if (std::ranges::find(there, object, &S3Client::Object::name) == there.end()) continue;
      const auto folder = read_seal(id);
      const auto content = client_->get(object);
      const auto remark = content ? decode(content->bytes) : std::nullopt;
      if (folder && remark && remark->token == folder->token()) note_of(notes, which) = decode_note(remark->manifest);
    }
  } catch (const std::exception&) {  // they are remarks, and may be missing
  }
  return notes;
}

void ObjectStore::write_note(std::uint64_t id, Check which, const CheckNote& note) const {
  const auto folder = read_seal(id);
  if (!folder) return;
  const auto remark = std::ranges::find(kRemarks, which, &Remark::which);
  client_->put(with_id(id, remark->kind), encode({folder->token(), encode_note(note)}));
}

}  // namespace tintype
