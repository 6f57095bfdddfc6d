// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/tidy.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>

#include "checkpoint/store/chain_merge.h"
#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/store/lineage.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostBases = 64;

std::uint64_t bytes_of(const Lineage& lineage, std::uint64_t id) {
  std::uint64_t bytes = 0;
  for (const PartDescription& part : lineage.members().at(id).manifest->parts) bytes += part.summary.file_bytes;
  return bytes;
}

/// One that pays and has not failed.
std::optional<MergeRun> next_run(const Lineage& lineage, const TidyOptions& options,
                                 const std::set<std::uint64_t>& failed) {
  for (MergeRun& run : find_merge_runs(lineage)) {
    std::vector<std::uint64_t> bytes{bytes_of(lineage, run.id)};
    for (const std::uint64_t base : run.bases) bytes.push_back(bytes_of(lineage, base));
    if (failed.contains(run.id) || !options.pays(bytes)) continue;
    const auto newer = static_cast<std::size_t>(std::ranges::max_element(bytes) - bytes.begin());
    if (newer >= 2) run.bases.resize(newer - 1);
    return std::move(run);
  }
  return std::nullopt;
}

}  // namespace

bool merging_pays(std::span<const std::uint64_t> bytes) {
  if (bytes.size() > kMostBases + 1) return true;
  const std::uint64_t all = std::accumulate(bytes.begin(), bytes.end(), std::uint64_t{0});
  const std::uint64_t largest = std::ranges::max(bytes);
  return all - largest >= largest / 2;
}

Tidied tidy_chains(const fs::path& repository, const ProgressSink& progress, const TidyOptions& options) {
  return tidy_chains(*open_store(repository), progress, options);
}

Tidied tidy_chains(CheckpointStore& store, const ProgressSink& progress, const TidyOptions& options) {
  Tidied tidied;
  tidied.gone = store.remove_leftovers(progress);
  if (store.bases().empty()) return tidied;
  for (std::set<std::uint64_t> failed;;) {
    const auto run = next_run(Lineage(store), options, failed);
    if (!run) return tidied;
    failed.insert(run->id);
    try {
      if (!store.merge(*run, options, progress)) continue;
      failed.erase(run->id);
      if (std::ranges::find(tidied.merged, run->id) == tidied.merged.end()) tidied.merged.push_back(run->id);
      tidied.gone.insert(tidied.gone.end(), run->bases.begin(), run->bases.end());
    } catch (const ImageError& error) {
      tidied.problems.emplace_back(error.what());
    } catch (const DestinationFull& error) {
      tidied.problems.emplace_back(error.what());
    }
  }
}

}  // namespace tintype
