// SPDX-License-Identifier: Apache-2.0
#pragma once

// What merging is, wherever the checkpoints lie: what may be merged, and what comes of it. Putting that into its place
// is the store's business (directory_merge, object_merge).

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/format/manifest.h"
#include "checkpoint/format/part_output.h"
#include "checkpoint/store/chain.h"
#include "checkpoint/store/lineage.h"
#include "checkpoint/store/tidy.h"
#include "vmm/base/progress.h"

namespace tintype {

/// All that there are, of checkpoints that are listed.
std::vector<MergeRun> find_merge_runs(const Lineage& lineage);
/// Whether this one may still be merged, though there may be more bases by now.
bool can_be_merged(const Lineage& lineage, const MergeRun& run);

/// Where the files of what is merged go.
struct MergeOutputs {
  std::function<std::shared_ptr<PartOutput>(const PartDescription&)> create;
  std::function<void(const PartDescription&)> take_over;  ///< a file of the checkpoint itself, as it is
};

/// How much all of them hold, newest first.
std::uint64_t bytes_of(const Chain& chain);
/// Writes the parts of one checkpoint that holds what these hold together, newest first; its manifest has the id and
/// identity of the first and the parent of the last. Throws ImageError where data is damaged, and what writing throws.
Manifest merge_chain(const Chain& chain, const MergeOutputs& outputs, const ProgressSink& progress);

/// Tells the sink that a step was made, between any two.
void report_merge_step(const ProgressSink& progress);

}  // namespace tintype
