// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/object_store.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "checkpoint/store/chain.h"
#include "checkpoint/store/lineage.h"
#include "checkpoint/store/object_draft.h"
#include "checkpoint/store/object_names.h"
#include "checkpoint/store/open_checkpoint.h"
#include "vmm/base/error.h"

namespace tintype {

using namespace object_names;

namespace {

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

// What it builds on stays as long as it does, and need not be looked at.
std::shared_ptr<const Manifest> ObjectStore::require_parent(const ParentRef& parent, Parents parents,
                                                            const Look& look) const {
  const bool there =
      look.seals.contains(parent.id) || (parents == Parents::kDeletedToo && look.bases.contains(parent.id));
  const std::shared_ptr<const ObjectFolder> folder = there ? read_seal(parent.id) : nullptr;
  const std::string mark = folder ? std::string(kDeletedMark) + folder->token() : "";
  if (!folder || std::ranges::find(look.deleted, mark, &S3Client::Object::name) != look.deleted.end())
    throw ParentGone("checkpoint {} is not in {} any more, and nothing can build on it", parent.id, name());
  try {
    auto manifest = manifest_in(*folder, parent.id);
    if (manifest->identity != parent.identity)
      throw ParentGone("checkpoint {} in {} is another one than was meant", parent.id, name());
    check_files({folder, manifest});
    return manifest;
  } catch (const ImageError& error) {
    throw ParentGone("nothing can build on checkpoint {}: {}", parent.id, error.what());
  }
}

void ObjectStore::remove_folder(const std::string& token) { remove_object_folder(*client_, token); }

/// What dead writers left, and who died in the middle of deleting.
void ObjectStore::remove_leftovers(const Look& look) {
  for (const S3Client::Object& writer : look.writers) {
    const auto content = client_->get(writer.name);
    if (!content) continue;
    const WriterMark mark = WriterMark::parse(content->bytes);
    if (!mark.is_dead(silence_of(writer, look.now))) continue;
    const std::string token = *token_of(writer.name, kWriterMark);
    if (!is_sealed_as(token, mark.sealing)) remove_folder(token);
    client_->remove(writer.name);
  }
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
}

// Says first what is going to be deleted, and looks then who needs it. False where somebody does.
bool ObjectStore::discard(std::uint64_t id) {
  const auto folder = read_seal(id);
  if (!folder) return true;
  const std::string mark = std::string(kDeletedMark) + folder->token();
  client_->put(mark, std::to_string(id));
  if (Lineage(*this).is_needed(id)) {
    client_->put(with_id(id, kBaseKind), encode({folder->token(), folder->manifest()}));
    client_->remove(with_id(id, kSealKind));
    client_->remove(mark);
    return false;
  }
  remember_last_id(id);
  client_->remove(with_id(id, kSealKind));
  client_->remove(with_id(id, kBaseKind));
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

void ObjectStore::discard_unneeded_bases(Removal& removal, const ProgressSink& progress) {
  if (bases().empty()) return;
  for (const std::uint64_t id : Lineage(*this).unneeded_bases()) {
    if (discard(id)) removal.gone.push_back(id);
    if (progress) progress({"delete", 0, 1});
  }
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
  discard_unneeded_bases(removal, progress);
  return removal;
}

// Bases are not merged here: reading all of them back and writing them anew costs more than they take.
Tidied ObjectStore::tidy(const ProgressSink& progress) {
  remove_leftovers(look());
  Removal removal;
  discard_unneeded_bases(removal, progress);
  Tidied tidied;
  tidied.gone = std::move(removal.gone);
  return tidied;
}

}  // namespace tintype
