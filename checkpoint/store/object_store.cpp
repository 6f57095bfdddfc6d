// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/object_store.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "checkpoint/store/chain.h"
#include "checkpoint/store/object_draft.h"
#include "checkpoint/store/object_merge.h"
#include "checkpoint/store/object_names.h"
#include "checkpoint/store/object_removal.h"
#include "checkpoint/store/open_checkpoint.h"
#include "vmm/base/error.h"

namespace tintype {

using namespace object_names;

namespace {

std::chrono::seconds silence_of(const S3Client::Object& object, std::int64_t now) {
  return std::chrono::seconds(std::max<std::int64_t>(0, now - object.modified));
}

/// What those of them build on that are at work.
std::vector<std::uint64_t> parents_of(const std::vector<ObjectStore::Writer>& writers) {
  std::vector<std::uint64_t> parents;
  for (const ObjectStore::Writer& writer : writers)
    if (writer.mark.parent != 0 && !writer.dead) parents.push_back(writer.mark.parent);
  return parents;
}

std::uint64_t number_in(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

ObjectStore::ObjectStore(const S3Location& location)
    : client_(std::make_shared<S3Client>(location, find_credentials(location.profile))),
      cache_(std::make_shared<PieceCache>(client_)),
      known_(std::make_shared<KnownObjects>(client_)) {}

ObjectStore::Look ObjectStore::look() const {
  const S3Client::Listing listing = client_->list("", false);
  Look look;
  look.now = listing.now;
  for (const S3Client::Object& object : listing.objects) {
    if (const auto id = id_of(object.name, kSealKind)) look.seals[*id] = object.tag;
    if (const auto id = id_of(object.name, kBaseKind)) look.bases[*id] = object.tag;
    look.names.insert(object.name);
    if (token_of(object.name, kWriterMark)) look.writers.push_back(object);
    if (token_of(object.name, kDeletedMark)) look.deleted.push_back(object);
    for (const std::string_view kind : {kSealKind, kBaseKind, kLastIdKind})
      look.last_id = std::max(look.last_id, id_of(object.name, kind).value_or(0));
  }
  for (const auto& [id, tag] : look.seals) look.bases.erase(id);
  known_->keep_only(look.names);
  return look;
}

void ObjectStore::require_repository() const {
  const Look found = look();
  if (found.last_id == 0 && found.writers.empty())
    throw Error("{} is no repository: name what was given to checkpoint --to", name());
}

bool ObjectStore::holds(const std::filesystem::path& other) const {
  if (!S3Location::is_meant_by(other.native())) return false;
  const S3Location ours = client_->location(), theirs = S3Location::parse(other.native()).completed();
  return ours.endpoint == theirs.endpoint && ours.bucket == theirs.bucket &&
         (ours.prefix.empty() || (theirs.prefix + "/").starts_with(ours.prefix + "/"));
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

// One that was a base when it was read last has become no checkpoint since.
std::unique_ptr<ObjectFolder> ObjectStore::read_seal(std::uint64_t id) const {
  const std::string seal = with_id(id, kSealKind), base = with_id(id, kBaseKind);
  const bool was_base = known_->has(base) && !known_->has(seal);
  for (const std::string& name : was_base ? std::array{base, seal} : std::array{seal, base})
    if (const auto text = known_->read(name)) return folder_in(name, *text);
  return nullptr;
}

std::unique_ptr<ObjectFolder> ObjectStore::read_seal(std::uint64_t id, const Look& look) const {
  const auto seal = look.seals.find(id), base = look.bases.find(id);
  const bool sealed = seal != look.seals.end();
  if (!sealed && base == look.bases.end()) return nullptr;
  const std::string name = with_id(id, sealed ? kSealKind : kBaseKind);
  const auto text = known_->read(name, sealed ? seal->second : base->second);
  return text ? folder_in(name, *text) : read_seal(id);
}

std::unique_ptr<ObjectFolder> ObjectStore::folder_in(const std::string& name, const std::string& text) const {
  auto seal = decode(text);
  if (!seal) throw ImageError("{}/{} is damaged, or no checkpoint's", this->name(), name);
  return std::make_unique<ObjectFolder>(client_, cache_, std::move(seal->token), std::move(seal->manifest));
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

ObjectStore::Writer ObjectStore::writer_of(const S3Client::Object& mark, std::int64_t now) const {
  const auto content = client_->get(mark.name);
  Writer writer{mark.name, WriterMark::parse(content ? content->bytes : ""), false};
  writer.dead = !content || writer.mark.is_dead(silence_of(mark, now));
  return writer;
}

std::vector<ObjectStore::Writer> ObjectStore::writers() const {
  const S3Client::Listing listing = client_->list(std::string(kWriterMark), false);
  std::vector<Writer> writers;
  for (const S3Client::Object& object : listing.objects)
    if (token_of(object.name, kWriterMark)) writers.push_back(writer_of(object, listing.now));
  return writers;
}

std::vector<ObjectStore::Writer> ObjectStore::writers_in(const Look& look) const {
  std::vector<Writer> writers;
  for (const S3Client::Object& object : look.writers) writers.push_back(writer_of(object, look.now));
  return writers;
}

std::vector<std::uint64_t> ObjectStore::parents_of_writers() const { return parents_of(writers()); }

CheckpointStore::Inventory ObjectStore::inventory(const std::vector<Writer>& writers, const Look& look) const {
  Inventory inventory;
  const auto add = [&](std::uint64_t id, bool base) {
    Inventory::Member& member = inventory.members[id] = {base, nullptr};
    try {
      if (const auto folder = read_seal(id, look)) member.manifest = manifest_in(*folder, id);
    } catch (const ImageError&) {  // that is said by its being missing
    }
  };
  for (const auto& [id, tag] : look.bases) add(id, true);
  for (const auto& [id, tag] : look.seals) add(id, false);
  inventory.parents_of_writers = parents_of(writers);
  return inventory;
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
  if (parent && parents == Parents::kListed && found.names.contains(with_id(parent->id, kVerifiedKind)))
    refuse_known_damage(parent->id);
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
  std::vector<std::string> remarks;  // on what is there no more
  for (const std::string& name : look.names) {
    for (const auto& [which, kind] : kRemarkKinds) {
      const auto id = id_of(name, kind);
      if (id && !look.seals.contains(*id)) remarks.push_back(name);
    }
  }
  client_->remove(remarks);
}

/// What was asked for has been kept where any of it was.
Removal ObjectStore::discard(std::set<std::uint64_t> ids, Absent absent, const ProgressSink& progress) {
  Look found = look();
  remove_leftovers(found);
  if (absent == Absent::kPassedOver) std::erase_if(ids, [&](std::uint64_t id) { return !found.seals.contains(id); });
  for (const std::uint64_t id : ids) {
    if (found.seals.contains(id)) continue;
    resolve(id);
    found = look();
  }
  auto outcome = ObjectRemoval(*this, progress).run(ids, std::move(found));
  const bool kept = std::ranges::any_of(ids, [&](std::uint64_t id) { return outcome.kept.contains(id); });
  return {kept, std::move(outcome.gone)};
}

Removal ObjectStore::remove(std::uint64_t id, const ProgressSink& progress) {
  return discard({id}, Absent::kRefused, progress);
}

void ObjectStore::remove_all(std::span<const std::uint64_t> ids, const ProgressSink& progress) {
  discard({ids.begin(), ids.end()}, Absent::kPassedOver, progress);
}

void ObjectStore::hide_brought(std::span<const std::uint64_t> ids) {
  std::set<std::uint64_t> hidden;
  for (const std::uint64_t id : ids)
    if (was_brought_for_others(id)) hidden.insert(id);
  if (!hidden.empty()) discard(std::move(hidden), Absent::kPassedOver, {});
}

void ObjectStore::came_for_itself(std::uint64_t id) {
  if (was_brought_for_others(id)) note(id, Check::kBrought, check_note(false, "for itself, too"));
}

std::vector<std::uint64_t> ObjectStore::remove_leftovers(const ProgressSink& progress) {
  return discard({}, Absent::kPassedOver, progress).gone;
}

bool ObjectStore::merge(const MergeRun& run, const TidyOptions&, const ProgressSink& progress) {
  return ObjectMerge(*this, run, progress).run();
}

CheckNotes ObjectStore::notes_on(std::uint64_t id) const {
  CheckNotes notes;
  try {
    const auto there = client_->list(with_id(id, "."), false).objects;
    for (const auto& [which, kind] : kRemarkKinds) {
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
  client_->put(with_id(id, kind_of(which)), encode({folder->token(), encode_note(note)}));
}

}  // namespace tintype
