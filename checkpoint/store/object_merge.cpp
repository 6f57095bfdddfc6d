// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/object_merge.h"

#include <algorithm>

#include "checkpoint/store/chain_merge.h"
#include "checkpoint/store/object_names.h"
#include "checkpoint/store/object_removal.h"

namespace tintype {

using namespace object_names;

ObjectMerge::ObjectMerge(ObjectStore& store, MergeRun run, const ProgressSink& progress)
    : store_(store), run_(std::move(run)), progress_(progress), token_(new_identity()) {}

// Nobody keeps what is read from going: where it is gone, somebody has changed it, and that is no damage.
bool ObjectMerge::run() {
  try {
    if (!begin()) return false;
    build();
  } catch (const ImageError&) {
    if (tag_.empty() || still_the_same()) throw;
    return false;
  }
  return put_in_place();
}

// The mark comes first and the look at what there is second, as with every writer. It says what this builds on, so that
// it stays, and what it is going to replace.
bool ObjectMerge::begin() {
  const auto seals = store_.look().seals;
  const auto seal = seals.find(run_.id);
  if (seal == seals.end()) return false;
  chain_ = read_chain(store_, run_.id, [this](const ChainLink& link) { return link.id() != run_.bases.back(); });
  if (chain_.size() != run_.bases.size() + 1) return false;
  for (const ChainLink& link : chain_) tokens_.push_back(static_cast<const ObjectFolder&>(*link.folder).token());
  WriterMark mark = WriterMark::of_this_process();
  mark.parent = chain_.back().manifest->parent;
  mark.replaces = tokens_.front();
  auto lease = std::make_unique<WriterLease>(*store_.client_, std::string(kWriterMark) + token_, mark);
  draft_ = std::make_unique<ObjectDraft>(store_.client_, token_, std::move(lease), run_.id);
  tag_ = seal->second;
  report_merge_step(progress_);
  return still_the_same();
}

bool ObjectMerge::still_the_same() const {
  const auto writers = store_.writers();
  const ObjectStore::Look look = store_.look();
  const auto seal = look.seals.find(run_.id);
  return seal != look.seals.end() && seal->second == tag_ && !others_are_at_it(writers, look) &&
         can_be_merged(Lineage(store_.inventory(writers, look)), run_);
}

/// Somebody deletes what this is made of, or merges the same.
bool ObjectMerge::others_are_at_it(const std::vector<ObjectStore::Writer>& writers,
                                   const ObjectStore::Look& look) const {
  const auto is_deleted = [&](const S3Client::Object& mark) {
    return std::ranges::count(tokens_, *token_of(mark.name, kDeletedMark)) != 0;
  };
  const auto is_merged = [&](const ObjectStore::Writer& writer) {
    return *token_of(writer.name, kWriterMark) != token_ && writer.mark.replaces == tokens_.front();
  };
  return std::ranges::any_of(look.deleted, is_deleted) || std::ranges::any_of(writers, is_merged);
}

void ObjectMerge::build() {
  const MergeOutputs outputs{
      [this](const PartDescription& part) { return draft_->create(part.file, part.summary.content_bytes); },
      [this](const PartDescription& part) { take_over(part); }};
  manifest_ = merge_chain(chain_, outputs, progress_);
}

/// Through this computer: a store copies within itself only what is not too large, and each in its own way.
void ObjectMerge::take_over(const PartDescription& part) {
  constexpr std::uint64_t kPiece = 4 << 20;
  const auto source = chain_.front().folder->open(part.file);
  const auto output = draft_->create(part.file, source->size());
  std::vector<std::byte> buffer;
  for (std::uint64_t done = 0; done < source->size(); done += buffer.size()) {
    buffer.resize(std::min(kPiece, source->size() - done));
    source->read(done, buffer);
    output->write(std::span<const std::byte>(buffer), done);
  }
  output->truncate(source->size());
  output->sync();
}

// From the moment in which the seal is replaced nobody needs the folder that it named, nor the bases. The mark goes
// last: it says to whoever finds it what is still to be removed.
bool ObjectMerge::put_in_place() {
  if (!draft_->replace(manifest_, tag_, [this] { return still_the_same(); })) return false;
  report_merge_step(progress_);
  store_.remove_folder(tokens_.front());
  report_merge_step(progress_);
  ObjectRemoval(store_, progress_).run({}, store_.look());
  draft_->remove_mark();
  return true;
}

}  // namespace tintype
