// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/prune.h"

#include <algorithm>
#include <map>

#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/store/tidy.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

using ByMachine = std::map<std::string, std::vector<Dated>>;

ByMachine group(const CheckpointStore& store, const std::string& vm, Pruning& pruning) {
  ByMachine machines;
  for (const std::uint64_t id : store.ids()) {
    try {
      const auto manifest = store.manifest_of(id);
      if (vm.empty() || manifest->vm == vm) machines[manifest->vm].push_back({id, manifest->time});
    } catch (const std::exception&) {
      pruning.unreadable.push_back(id);
    }
  }
  return machines;
}

/// Looks at no more than it must: that is a request or more each, in an object store.
void keep_whole_ones(const CheckpointStore& store, const std::vector<Dated>& dated, const Retention& retention,
                     std::vector<Pruned>& all) {
  const auto goes = [](const Pruned& each) { return each.because.empty(); };
  if (std::ranges::none_of(all, goes)) return;
  for (Pruned& each : all) each.damaged = !goes(each) && store.is_known_to_be_damaged(each.id);
  if (std::ranges::none_of(all, &Pruned::damaged)) return;
  std::vector<Dated> whole;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (!all[i].damaged && !(goes(all[i]) && store.is_known_to_be_damaged(all[i].id))) whole.push_back(dated[i]);
  for (const Verdict& verdict : judge(whole, retention)) {
    Pruned& mine = *std::ranges::find(all, verdict.id, &Pruned::id);
    if (goes(mine)) mine.because = verdict.because;
  }
}

/// Oldest first: then what goes is never what the next one builds on for a moment longer than it must.
void remove_all(CheckpointStore& store, Pruning& pruning, const ProgressSink& progress) {
  std::vector<std::uint64_t> ids;
  for (const Pruned& checkpoint : pruning.checkpoints)
    if (checkpoint.because.empty()) ids.push_back(checkpoint.id);
  if (!ids.empty()) store.remove_all(ids, progress);
  Tidied tidied = tidy_chains(store, progress);
  pruning.merged = std::move(tidied.merged);
  pruning.problems = std::move(tidied.problems);
}

}  // namespace

Pruning prune(const std::filesystem::path& repository, const PruneOptions& options, const ProgressSink& progress) {
  Pruning pruning;
  const auto store = open_store(repository, options.known);
  store->require_repository();
  const ByMachine machines = group(*store, options.vm, pruning);
  if (machines.empty() && !options.vm.empty())
    throw Error("{} holds no checkpoint of {}: tintype show says which machines there are", repository.string(),
                options.vm);
  for (const auto& [vm, dated] : machines) {
    std::vector<Pruned> all;
    for (const Dated& each : dated) all.push_back({each.id, vm, each.time, {}});
    for (const Verdict& verdict : judge(dated, options.retention))
      std::ranges::find(all, verdict.id, &Pruned::id)->because = verdict.because;
    keep_whole_ones(*store, dated, options.retention, all);
    pruning.checkpoints.insert(pruning.checkpoints.end(), all.begin(), all.end());
  }
  std::ranges::sort(pruning.checkpoints, {}, &Pruned::id);
  const bool some = std::ranges::any_of(pruning.checkpoints, [](const Pruned& each) { return each.because.empty(); });
  if ((some || options.tidies_always) && !options.dry_run) remove_all(*store, pruning, progress);
  return pruning;
}

}  // namespace tintype
