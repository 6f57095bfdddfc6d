// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/checkpoint_store.h"

#include <algorithm>

#include "checkpoint/store/open_checkpoint.h"
#include "checkpoint/store/repository.h"

namespace tintype {
namespace {

/// "1 to 9", "only 1": of a list that is not empty.
std::string range_of(const std::vector<std::uint64_t>& ids) {
  return ids.size() == 1 ? fmt::format("only {}", ids.front()) : fmt::format("{} to {}", ids.front(), ids.back());
}

}  // namespace

std::uint64_t CheckpointStore::resolve(std::optional<std::uint64_t> id) const {
  const auto all = ids();
  if (all.empty()) throw Error("{} holds no checkpoint", name());
  if (!id) return all.back();
  if (!std::ranges::binary_search(all, *id))
    throw Error("{} holds no checkpoint {}; it holds {}", name(), *id, range_of(all));
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

void CheckpointStore::note(std::uint64_t id, Check which, const CheckNote& note) const noexcept {
  try {
    write_note(id, which, note);
  } catch (const std::exception&) {  // it is a remark, and may be missing
  }
}

}  // namespace tintype
