// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/store/object_store.h"
#include "vmm/base/progress.h"

namespace tintype {

/// Deletes in an object store: checkpoints, those of them that others need becoming bases, and bases that nobody needs
/// without them. It says first what is going to be deleted, and looks then who needs it, once for all of them.
class ObjectRemoval {
 public:
  ObjectRemoval(ObjectStore& store, const ProgressSink& progress) : store_(store), progress_(progress) {}

  using Ids = std::set<std::uint64_t>;
  struct Outcome {
    std::vector<std::uint64_t> gone;  ///< with all their data, children first
    Ids kept;                         ///< as bases
  };
  /// `look` is what was there just now. Throws tintype::Error where one is being merged and does not come to rest; then
  /// the others are deleted.
  Outcome run(const Ids& ids, ObjectStore::Look look);

 private:
  struct Going {
    std::unique_ptr<ObjectFolder> folder;
    std::string mark;
  };
  void mark(Ids ids);
  void put_marks(const Ids& ids);
  Ids unsettled(bool patient);
  bool is_where_it_was(std::uint64_t id, const Going& going) const;
  bool shut_out(std::uint64_t id, const Going& going, const ObjectStore::Writer& writer);
  bool knows_conditions(const Going& going, std::uint64_t id) const;
  void remove(const std::vector<std::uint64_t>& ids);
  void remember_last_id(std::uint64_t id);
  void keep_as_bases(const Ids& ids);
  std::vector<std::string> remarks_on(std::uint64_t id) const;
  void step() const;

  ObjectStore& store_;
  const ProgressSink& progress_;
  ObjectStore::Look look_;                    ///< the last one
  std::vector<ObjectStore::Writer> writers_;  ///< just before it
  std::map<std::uint64_t, Going> going_;      ///< marked as deleted
  Ids stuck_;                                 ///< somebody merges them, and has not ended
};

}  // namespace tintype
