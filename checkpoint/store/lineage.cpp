// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/lineage.h"

#include <algorithm>

#include "checkpoint/store/checkpoint_store.h"

namespace tintype {

Lineage::Lineage(const CheckpointStore& store) {
  for (const std::uint64_t id : store.bases()) add(store, id, true);
  for (const std::uint64_t id : store.ids()) add(store, id, false);
  for (auto& [id, member] : members_) {
    const auto parent = member.manifest ? members_.find(member.manifest->parent) : members_.end();
    if (parent != members_.end()) parent->second.children.insert(id);
  }
  add_writers(store);
}

void Lineage::add(const CheckpointStore& store, std::uint64_t id, bool base) {
  Member member;
  member.base = base;
  try {
    member.manifest = store.manifest_of(id);
  } catch (const std::exception&) {
    member.manifest.reset();
    newest_unreadable_ = std::max(newest_unreadable_, id);
  }
  members_[id] = std::move(member);
}

void Lineage::add_writers(const CheckpointStore& store) {
  for (const std::uint64_t id : store.parents_of_writers()) {
    const auto parent = members_.find(id);
    if (parent != members_.end()) parent->second.written_on = true;
  }
}

bool Lineage::is_needed(std::uint64_t id) const {
  const Member& member = members_.at(id);
  return !member.children.empty() || member.written_on || id < newest_unreadable_;
}

bool Lineage::is_base_of_only(std::uint64_t id, std::uint64_t child) const {
  const auto found = members_.find(id);
  return found != members_.end() && found->second.base && found->second.manifest &&
         found->second.children == std::set{child} && !found->second.written_on && id > newest_unreadable_;
}

std::vector<std::uint64_t> Lineage::unneeded_bases() const {
  std::set<std::uint64_t> gone;
  std::vector<std::uint64_t> unneeded;
  for (auto each = members_.rbegin(); each != members_.rend(); ++each) {
    const auto& [id, member] = *each;
    if (!member.base || member.written_on || id < newest_unreadable_) continue;
    const bool childless =
        std::ranges::all_of(member.children, [&](std::uint64_t child) { return gone.contains(child); });
    if (!childless) continue;
    gone.insert(id);
    unneeded.push_back(id);
  }
  return unneeded;
}

}  // namespace tintype
