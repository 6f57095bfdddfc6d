// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/lineage.h"

#include <algorithm>

namespace tintype {

Lineage::Lineage(const CheckpointStore::Inventory& inventory) {
  for (const auto& [id, member] : inventory.members) {
    members_[id] = {member, {}, false};
    if (!member.manifest) newest_unreadable_ = std::max(newest_unreadable_, id);
  }
  for (auto& [id, member] : members_) {
    const auto parent = member.manifest ? members_.find(member.manifest->parent) : members_.end();
    if (parent != members_.end()) parent->second.children.insert(id);
  }
  for (const std::uint64_t id : inventory.parents_of_writers) {
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

std::set<std::uint64_t> Lineage::bases() const {
  std::set<std::uint64_t> bases;
  for (const auto& [id, member] : members_)
    if (member.base) bases.insert(id);
  return bases;
}

std::vector<std::uint64_t> Lineage::unneeded(const std::set<std::uint64_t>& deleted) const {
  std::set<std::uint64_t> gone;
  std::vector<std::uint64_t> unneeded;
  for (auto each = members_.rbegin(); each != members_.rend(); ++each) {
    const auto& [id, member] = *each;
    if (!deleted.contains(id) || member.written_on || id < newest_unreadable_) continue;
    const bool childless =
        std::ranges::all_of(member.children, [&](std::uint64_t child) { return gone.contains(child); });
    if (!childless) continue;
    gone.insert(id);
    unneeded.push_back(id);
  }
  return unneeded;
}

}  // namespace tintype
