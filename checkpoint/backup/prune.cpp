// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/prune.h"

#include <algorithm>
#include <map>

#include "checkpoint/store/operations.h"
#include "checkpoint/store/repository.h"
#include "checkpoint/store/tidy.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

using ByMachine = std::map<std::string, std::vector<Dated>>;

ByMachine group(const std::vector<CheckpointSummary>& list, const std::string& vm, Pruning& pruning) {
  ByMachine machines;
  for (const CheckpointSummary& checkpoint : list) {
    if (!checkpoint.manifest)
      pruning.unreadable.push_back(checkpoint.id);
    else if (vm.empty() || checkpoint.manifest->vm == vm)
      machines[checkpoint.manifest->vm].push_back({checkpoint.id, checkpoint.manifest->time});
  }
  return machines;
}

/// Oldest first: then what goes is never what the next one builds on for a moment longer than it must.
void remove_all(const std::filesystem::path& path, Pruning& pruning, const ProgressSink& progress) {
  const auto store = open_store(path);
  for (const Pruned& checkpoint : pruning.checkpoints)
    if (checkpoint.because.empty()) store->remove(checkpoint.id, progress);
  Tidied tidied = store->tidy(progress);
  pruning.merged = std::move(tidied.merged);
  pruning.problems = std::move(tidied.problems);
}

}  // namespace

Pruning prune(const std::filesystem::path& repository, const PruneOptions& options, const ProgressSink& progress) {
  Pruning pruning;
  const ByMachine machines = group(list_checkpoints(repository), options.vm, pruning);
  if (machines.empty() && !options.vm.empty())
    throw Error("{} holds no checkpoint of {}: tintype show says which machines there are", repository.string(),
                options.vm);
  for (const auto& [vm, dated] : machines) {
    const auto verdicts = judge(dated, options.retention);
    for (std::size_t i = 0; i < verdicts.size(); ++i) {
      const auto time = std::ranges::find(dated, verdicts[i].id, &Dated::id)->time;
      pruning.checkpoints.push_back({verdicts[i].id, vm, time, verdicts[i].because});
    }
  }
  std::ranges::sort(pruning.checkpoints, {}, &Pruned::id);
  const bool some = std::ranges::any_of(pruning.checkpoints, [](const Pruned& each) { return each.because.empty(); });
  if (some && !options.dry_run) remove_all(repository, pruning, progress);
  return pruning;
}

}  // namespace tintype
