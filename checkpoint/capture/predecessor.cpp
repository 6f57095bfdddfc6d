// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/predecessor.h"

#include <algorithm>
#include <vector>

#include "checkpoint/store/repository.h"

namespace tintype {
namespace {

bool is_of(const Manifest& manifest, const std::string& vm, const MachineDescription& machine) {
  return manifest.vm == vm && manifest.report.holds == Portion::kAll && !manifest.identity.empty() &&
         manifest.machine.memory == machine.memory && manifest.machine.regions == machine.regions;
}

std::shared_ptr<const CheckpointReader> open_or_null(const std::filesystem::path& repository, std::uint64_t id) {
  try {
    return std::make_shared<CheckpointReader>(repository, id);
  } catch (const std::exception&) {
    return nullptr;
  }
}

}  // namespace

std::optional<Predecessor> find_predecessor(const std::filesystem::path& path, const std::optional<ParentRef>& latest,
                                            const std::string& vm, const MachineDescription& machine,
                                            std::shared_ptr<KnownManifests> known) {
  std::error_code missing;
  if (!std::filesystem::is_directory(path, missing)) return std::nullopt;
  const Repository repository = Repository::open(path, std::move(known));
  const auto ids = repository.ids();
  std::vector<std::shared_ptr<const Manifest>> manifests;  // newest first; what cannot be read is left out
  for (auto id = ids.rbegin(); id != ids.rend(); ++id) {
    try {
      manifests.push_back(repository.manifest_of(*id));
    } catch (const std::exception&) {  // whoever verifies it will hear of it
      continue;
    }
    if (latest && manifests.back()->identity == latest->identity) return Predecessor{{*id, latest->identity}, nullptr};
  }
  for (const auto& manifest : manifests) {
    if (!is_of(*manifest, vm, machine) || repository.is_known_to_be_damaged(manifest->id)) continue;
    if (auto contents = open_or_null(path, manifest->id))
      return Predecessor{{manifest->id, manifest->identity}, std::move(contents)};
  }
  return std::nullopt;
}

}  // namespace tintype
