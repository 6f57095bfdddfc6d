// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/predecessor.h"

#include <algorithm>
#include <vector>

#include "checkpoint/store/repository.h"

namespace tintype {
namespace {

/// Manifests of all that is listed, newest first; what cannot be read is left out.
std::vector<std::shared_ptr<const Manifest>> manifests_in(const Repository& repository) {
  std::vector<std::shared_ptr<const Manifest>> manifests;
  for (const std::uint64_t id : repository.ids()) {
    try {
      manifests.push_back(repository.read_manifest(repository.directory_of(id), id));
    } catch (const std::exception&) {  // whoever verifies it will hear of it
    }
  }
  std::ranges::reverse(manifests);
  return manifests;
}

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
                                            const std::string& vm, const MachineDescription& machine) {
  std::error_code missing;
  if (!std::filesystem::is_directory(path, missing)) return std::nullopt;
  const auto manifests = manifests_in(Repository::open(path));
  for (const auto& manifest : manifests) {
    if (latest && manifest->identity == latest->identity)
      return Predecessor{{manifest->id, manifest->identity}, nullptr};
  }
  for (const auto& manifest : manifests) {
    if (!is_of(*manifest, vm, machine)) continue;
    if (auto contents = open_or_null(path, manifest->id))
      return Predecessor{{manifest->id, manifest->identity}, std::move(contents)};
  }
  return std::nullopt;
}

}  // namespace tintype
