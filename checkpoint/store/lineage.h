// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "checkpoint/store/checkpoint_store.h"

namespace tintype {

/// Who builds on whom in a repository, as its manifests and the writers at work say. True as long as the lock on names
/// is held.
class Lineage {
 public:
  struct Member : CheckpointStore::Inventory::Member {
    std::set<std::uint64_t> children;
    bool written_on = false;  ///< somebody is writing a child of it
  };

  explicit Lineage(const CheckpointStore& store) : Lineage(store.inventory()) {}
  explicit Lineage(const CheckpointStore::Inventory& inventory);

  const std::map<std::uint64_t, Member>& members() const noexcept { return members_; }
  /// A checkpoint builds on this one, or may: one whose manifest cannot be read may build on any that is older.
  bool is_needed(std::uint64_t id) const;
  /// A base with this one child, and nobody else who builds on it, or may.
  bool is_base_of_only(std::uint64_t id, std::uint64_t child) const;
  /// Bases that no checkpoint builds on, by way of other bases neither. Children come before their parents.
  std::vector<std::uint64_t> unneeded_bases() const { return unneeded(bases()); }
  std::set<std::uint64_t> bases() const;
  /// Those of these that nobody needs once they are deleted. Children come before their parents.
  std::vector<std::uint64_t> unneeded(const std::set<std::uint64_t>& deleted) const;

 private:
  std::map<std::uint64_t, Member> members_;
  std::uint64_t newest_unreadable_ = 0;  ///< 0: all can be read
};

}  // namespace tintype
