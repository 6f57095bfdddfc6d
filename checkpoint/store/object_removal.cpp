// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/object_removal.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "checkpoint/format/manifest_text.h"
#include "checkpoint/s3/task_pool.h"
#include "checkpoint/store/lineage.h"
#include "checkpoint/store/object_draft.h"
#include "checkpoint/store/object_names.h"
#include "vmm/base/error.h"

namespace tintype {

using namespace object_names;

namespace {

using namespace std::chrono_literals;

/// For somebody who merges what is going to be deleted; in all as long as for an answer.
constexpr std::chrono::milliseconds kMergePause = 200ms;

}  // namespace

ObjectRemoval::Outcome ObjectRemoval::run(const Ids& ids, ObjectStore::Look look) {
  look_ = std::move(look);
  if (ids.empty() && look_.bases.empty()) return {};
  const Lineage now(store_.inventory(store_.writers_in(look_), look_));
  Ids candidates = now.bases(), marked = ids;
  candidates.insert(ids.begin(), ids.end());
  for (const std::uint64_t id : now.unneeded(candidates)) marked.insert(id);
  if (marked.empty()) return {};
  step();
  mark(marked);
  Outcome outcome;
  for (const auto& [id, going] : going_) outcome.kept.insert(id);
  outcome.gone = Lineage(store_.inventory(writers_, look_)).unneeded(outcome.kept);
  for (const std::uint64_t id : outcome.gone) outcome.kept.erase(id);
  remove(outcome.gone);
  keep_as_bases(outcome.kept);
  if (!stuck_.empty())
    throw Error("checkpoint {} in {} is being merged with others, or who did that was killed: delete it again later",
                *stuck_.begin(), store_.name());
  return outcome;
}

// Who merges says that he is going to put it into its place, and looks then whether somebody deletes; this one does it
// the other way round. So either he gives way, or he is waited for: that takes moments, unless he was killed in them.
void ObjectRemoval::mark(Ids ids) {
  for (const auto end = std::chrono::steady_clock::now() + S3Client::default_patience();;) {
    put_marks(ids);
    writers_ = store_.writers();
    look_ = store_.look();
    ids = unsettled(std::chrono::steady_clock::now() < end);
    if (ids.empty()) return;
    std::this_thread::sleep_for(kMergePause);
  }
}

void ObjectRemoval::put_marks(const Ids& ids) {
  std::vector<TaskPool::Task> puts;
  for (const std::uint64_t id : ids) {
    auto folder = store_.read_seal(id, look_);
    if (!folder) continue;  // somebody else was quicker
    const std::string mark = std::string(kDeletedMark) + folder->token();
    going_[id] = {std::move(folder), mark};
    puts.push_back([this, id, mark] { store_.client_->put(mark, std::to_string(id)); });
  }
  TaskPool::do_all(std::move(puts));
}

/// Those that have to be marked, and looked at, again.
ObjectRemoval::Ids ObjectRemoval::unsettled(bool patient) {
  Ids again;
  std::vector<std::string> marks;
  for (const auto& [id, going] : going_) {
    const auto merges = [&id = id, &going = going](const ObjectStore::Writer& writer) {
      return writer.mark.sealing == id && writer.mark.replaces == going.folder->token() && !writer.dead;
    };
    const auto writer = std::ranges::find_if(writers_, merges);
    const bool replaced = writer != writers_.end();
    if (!replaced && is_where_it_was(id, going)) continue;
    const bool shut = replaced && (writer->mark.is_gone() || !patient) && shut_out(id, going, *writer);
    (shut || patient ? again : stuck_).insert(id);
    marks.push_back(going.mark);
  }
  store_.client_->remove(marks);
  std::erase_if(going_, [&](const auto& entry) { return again.contains(entry.first) || stuck_.contains(entry.first); });
  return again;
}

bool ObjectRemoval::is_where_it_was(std::uint64_t id, const Going& going) const {
  const auto now = store_.read_seal(id, look_);
  return now && now->token() == going.folder->token();
}

// The seal gets other bytes that say the same. So a request that was to replace the one that was there fails, whenever
// it comes, and nobody has to wait until none can come any more.
bool ObjectRemoval::shut_out(std::uint64_t id, const Going& going, const ObjectStore::Writer& writer) {
  const auto seal = look_.seals.find(id);
  if (seal == look_.seals.end() || !is_where_it_was(id, going) || !knows_conditions(going, id)) return false;
  const auto manifest = respelled_manifest(going.folder->manifest());
  if (!manifest) return false;
  const std::string text = encode({going.folder->token(), *manifest});
  if (store_.client_->replace(with_id(id, kSealKind), seal->second, text) != S3Client::Replaced::kYes) return false;
  remove_object_folder(*store_.client_, *token_of(writer.name, kWriterMark));
  store_.client_->remove(writer.name);
  return true;
}

/// Some stores take no notice of them and write.
bool ObjectRemoval::knows_conditions(const Going& going, std::uint64_t id) const {
  const std::string other_tag(32, '0');
  return store_.client_->replace(going.mark, other_tag, std::to_string(id)) == S3Client::Replaced::kChanged;
}

/// Children come first: what is listed is whole at every moment.
void ObjectRemoval::remove(const std::vector<std::uint64_t>& ids) {
  if (ids.empty()) return;
  remember_last_id(std::ranges::max(ids));
  for (const std::uint64_t id : ids) {
    step();
    for (const std::string_view kind : {kSealKind, kBaseKind})
      if (look_.names.contains(with_id(id, kind))) store_.client_->remove(with_id(id, kind));
  }
  step();
  std::vector<TaskPool::Task> folders;
  std::vector<std::string> remarks, marks;
  for (const std::uint64_t id : ids) {
    const Going& going = going_.at(id);
    marks.push_back(going.mark);
    std::ranges::copy(remarks_on(id), std::back_inserter(remarks));
    folders.push_back([this, &going] { remove_object_folder(*store_.client_, going.folder->token()); });
  }
  store_.client_->remove(remarks);
  TaskPool::do_all(std::move(folders));
  step();
  store_.client_->remove(marks);
}

/// So that an id is never used twice. Those that are still there speak for themselves.
void ObjectRemoval::remember_last_id(std::uint64_t id) {
  std::vector<std::string> older;
  std::uint64_t last = 0;
  for (const std::string& name : look_.names) {
    const auto marked = id_of(name, kLastIdKind);
    if (!marked) continue;
    last = std::max(last, *marked);
    if (*marked < id) older.push_back(name);
  }
  if (last >= id) return;
  store_.client_->put(with_id(id, kLastIdKind), "-");
  store_.client_->remove(older);
}

void ObjectRemoval::keep_as_bases(const Ids& ids) {
  std::vector<TaskPool::Task> bases;
  std::vector<std::string> seals, marks;
  for (const std::uint64_t id : ids) {
    const Going& going = going_.at(id);
    marks.push_back(going.mark);
    if (!look_.seals.contains(id)) continue;
    bases.push_back([this, id, &going] {
      store_.known_->write(with_id(id, kBaseKind), encode({going.folder->token(), going.folder->manifest()}));
    });
    seals.push_back(with_id(id, kSealKind));
    std::ranges::copy(remarks_on(id), std::back_inserter(seals));
  }
  TaskPool::do_all(std::move(bases));
  step();
  store_.client_->remove(seals);
  step();
  store_.client_->remove(marks);
}

std::vector<std::string> ObjectRemoval::remarks_on(std::uint64_t id) const {
  std::vector<std::string> remarks;
  for (const auto& [which, kind] : kRemarkKinds)
    if (look_.names.contains(with_id(id, kind))) remarks.push_back(with_id(id, kind));
  return remarks;
}

void ObjectRemoval::step() const {
  if (progress_) progress_({"delete", 0, 1});
}

}  // namespace tintype
