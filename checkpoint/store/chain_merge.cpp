// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/chain_merge.h"

#include <algorithm>

#include "checkpoint/format/part_merge.h"

namespace tintype {
namespace {

PartSummary merge_part(const Chain& chain, const PartDescription& part, const MergeOutputs& outputs,
                       const ProgressSink& progress) {
  const auto parts = open_parts(chain, part.name);
  PartMerge merge(parts, outputs.create(part));
  return merge.run([&](std::uint64_t done, std::uint64_t total) {
    if (progress) progress({"merge", done, total});
  });
}

}  // namespace

std::vector<MergeRun> find_merge_runs(const Lineage& lineage) {
  std::vector<MergeRun> runs;
  for (const auto& [id, member] : lineage.members()) {
    if (member.base || !member.manifest) continue;
    MergeRun run{id, {}};
    std::uint64_t child = id;
    for (std::uint64_t base = member.manifest->parent; lineage.is_base_of_only(base, child);
         base = lineage.members().at(base).manifest->parent) {
      run.bases.push_back(base);
      child = base;
    }
    if (!run.bases.empty()) runs.push_back(std::move(run));
  }
  return runs;
}

bool can_be_merged(const Lineage& lineage, const MergeRun& run) {
  const auto runs = find_merge_runs(lineage);
  const auto found = std::ranges::find(runs, run.id, &MergeRun::id);
  return found != runs.end() && found->bases.size() >= run.bases.size() &&
         std::equal(run.bases.begin(), run.bases.end(), found->bases.begin());
}

std::uint64_t bytes_of(const Chain& chain) {
  std::uint64_t bytes = 0;
  for (const ChainLink& link : chain)
    for (const PartDescription& part : link.manifest->parts) bytes += part.summary.file_bytes;
  return bytes;
}

Manifest merge_chain(const Chain& chain, const MergeOutputs& outputs, const ProgressSink& progress) {
  Manifest merged = *chain.front().manifest;
  merged.parent = chain.back().manifest->parent;
  merged.parent_identity = chain.back().manifest->parent_identity;
  for (PartDescription& part : merged.parts) {
    if (part.summary.incremental)
      part.summary = merge_part(chain, part, outputs, progress);
    else
      outputs.take_over(part);
    report_merge_step(progress);
  }
  return merged;
}

void report_merge_step(const ProgressSink& progress) {
  if (progress) progress({"merge", 0, 1});
}

}  // namespace tintype
