// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "checkpoint/store/chain.h"
#include "checkpoint/store/object_draft.h"
#include "checkpoint/store/object_store.h"
#include "checkpoint/store/tidy.h"
#include "vmm/base/progress.h"

namespace tintype {

/// Merges in an object store: what is made lies in a folder of its own, and then the seal is replaced by one that names
/// that folder. One request does that, so at every instant the checkpoint is the one or the other.
class ObjectMerge {
 public:
  ObjectMerge(ObjectStore& store, MergeRun run, const ProgressSink& progress);

  /// CheckpointStore::merge().
  bool run();

 private:
  bool begin();
  void build();
  bool put_in_place();
  bool still_the_same() const;
  bool others_are_at_it(const std::vector<ObjectStore::Writer>& writers, const ObjectStore::Look& look) const;
  void take_over(const PartDescription& part);

  ObjectStore& store_;
  const MergeRun run_;
  const ProgressSink& progress_;
  Chain chain_;                      ///< the checkpoint and the bases, newest first
  std::vector<std::string> tokens_;  ///< of their folders
  std::string tag_;                  ///< of the seal that is going to be replaced
  std::string token_;                ///< of the folder that takes the place
  std::unique_ptr<ObjectDraft> draft_;
  Manifest manifest_;
};

}  // namespace tintype
