// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/checkpoint_store.h"

#include <algorithm>

#include "checkpoint/store/open_checkpoint.h"
#include "checkpoint/store/parent.h"
#include "checkpoint/store/repository.h"

namespace tintype {
namespace {

/// "1 to 9", "only 1", "1, 4 to 6", "1, 3, 5 and others to 20": of a list that is not empty.
std::string ranges_of(const std::vector<std::uint64_t>& ids) {
  constexpr int kNamed = 4;
  if (ids.size() == 1) return fmt::format("only {}", ids.front());
  std::string text;
  int named = 0;
  for (auto first = ids.begin(); first != ids.end(); ++named) {
    if (named == kNamed) return text + fmt::format(" and others to {}", ids.back());
    auto last = first;
    while (last + 1 != ids.end() && *(last + 1) == *last + 1) ++last;
    text += fmt::format("{}{}", named == 0 ? "" : ", ", *first);
    if (last != first) text += fmt::format(" to {}", *last);
    first = last + 1;
  }
  return text;
}

}  // namespace

std::uint64_t CheckpointStore::resolve(std::optional<std::uint64_t> id) const {
  const auto all = ids();
  if (all.empty()) throw Error("{} holds no checkpoint", name());
  if (!id) return all.back();
  if (!std::ranges::binary_search(all, *id))
    throw Error("{} holds no checkpoint {}; it holds {}", name(), *id, ranges_of(all));
  return *id;
}

std::shared_ptr<const Manifest> CheckpointStore::manifest_of(std::uint64_t id) const {
  const auto folder = folder_of(id);
  if (!folder) throw ImageError("checkpoint {} is not in {} any more", id, name());
  return manifest_in(*folder, id);
}

std::shared_ptr<const Manifest> CheckpointStore::manifest_in(const CheckpointFolder& folder, std::uint64_t id) const {
  return std::make_shared<const Manifest>(read_manifest(folder, id));
}

CheckpointStore::Inventory CheckpointStore::inventory() const {
  Inventory inventory;
  inventory.parents_of_writers = parents_of_writers();
  const auto add = [&](std::uint64_t id, bool base) {
    Inventory::Member& member = inventory.members[id] = {base, nullptr};
    try {
      member.manifest = manifest_of(id);
    } catch (const std::exception&) {  // that is said by its being missing
    }
  };
  for (const std::uint64_t id : bases()) add(id, true);
  for (const std::uint64_t id : ids()) add(id, false);
  return inventory;
}

bool CheckpointStore::was_brought_for_others(std::uint64_t id) const {
  const auto brought = notes_on(id).brought;
  return brought && brought->good;
}

bool CheckpointStore::is_known_to_be_damaged(std::uint64_t id) const {
  const auto verified = notes_on(id).verified;
  return verified && !verified->good;
}

void CheckpointStore::refuse_known_damage(std::uint64_t id) const {
  if (is_known_to_be_damaged(id))
    throw ParentDamaged("checkpoint {} in {} is damaged, as verifying it has shown, and nothing more is built on it",
                        id, name());
}

void CheckpointStore::note(std::uint64_t id, Check which, const CheckNote& note) const noexcept {
  try {
    write_note(id, which, note);
  } catch (const std::exception&) {  // it is a remark, and may be missing
  }
}

}  // namespace tintype
