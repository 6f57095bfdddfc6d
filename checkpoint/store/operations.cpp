// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/operations.h"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "checkpoint/store/chain.h"
#include "checkpoint/store/open_checkpoint.h"
#include "checkpoint/store/repository.h"
#include "checkpoint/store/tidy.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

std::uint64_t bytes_in(const fs::path& directory) {
  std::uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const auto size = entry.is_regular_file(error) ? entry.file_size(error) : 0;
    if (!error) bytes += size;
  }
  return bytes;
}

CheckpointSummary summarize(const Repository& repository, std::uint64_t id) {
  CheckpointSummary summary;
  summary.id = id;
  summary.bytes = bytes_in(repository.directory_of(id));
  try {
    summary.manifest = read_manifest(repository.directory_of(id), id);
  } catch (const std::exception& error) {
    summary.problem = error.what();
  }
  summary.checks = read_check_notes(repository.directory_of(id));
  return summary;
}

}  // namespace

std::vector<CheckpointSummary> list_checkpoints(const fs::path& path) {
  const Repository repository = Repository::open(path);
  repository.require_repository();
  std::vector<CheckpointSummary> summaries;
  for (const std::uint64_t id : repository.ids()) summaries.push_back(summarize(repository, id));
  return summaries;
}

Manifest show_checkpoint(const fs::path& path, std::optional<std::uint64_t> id) {
  const Repository repository = Repository::open(path);
  return read_in_motion(repository, [&] {
    const std::uint64_t which = repository.resolve(id);
    return read_manifest(repository.directory_of(which), which);
  });
}

namespace {

/// By id, why it is damaged: itself, or what it builds on. Parents have lower ids.
std::map<std::uint64_t, std::string> damaged_with_children(const Repository& repository,
                                                           const Verification& verification) {
  std::map<std::uint64_t, std::string> damaged;
  for (const Damage& damage : verification.damages) damaged.emplace(damage.id, damage.reason);
  std::vector<std::uint64_t> all = repository.bases();
  for (const std::uint64_t id : repository.ids()) all.push_back(id);
  std::ranges::sort(all);
  for (const std::uint64_t id : all) {
    try {
      const auto below = damaged.find(repository.read_manifest(repository.directory_of(id), id)->parent);
      if (below != damaged.end())
        damaged.emplace(id, fmt::format("it builds on checkpoint {}: {}", below->first, below->second));
    } catch (const std::exception& error) {
      damaged.emplace(id, error.what());
    }
  }
  return damaged;
}

}  // namespace

void note_verification(const fs::path& path, std::optional<std::uint64_t> id, const Verification& verification) {
  const Repository repository = Repository::open(path);
  const auto damaged = damaged_with_children(repository, verification);
  for (const std::uint64_t each : id ? std::vector{*id} : repository.ids()) {
    const auto found = damaged.find(each);
    const bool good = found == damaged.end();
    note_verified(repository.directory_of(each), good, good ? "every byte is as it was written" : found->second);
  }
}

std::string show_checkpoint_json(const fs::path& path, std::optional<std::uint64_t> id) {
  const Repository repository = Repository::open(path);
  Manifest manifest;
  std::vector<NamedState> states;
  read_in_motion(repository, [&] {
    const std::uint64_t which = repository.resolve(id);
    manifest = read_manifest(repository.directory_of(which), which);
    states = read_states(repository.directory_of(which), manifest);
  });
  auto json = nlohmann::ordered_json::parse(encode_manifest(manifest));
  json["identity"] = manifest.identity;
  json["state"] = nlohmann::ordered_json::parse(states_as_json(states));
  return json.dump(2);
}

Deletion delete_checkpoint(const fs::path& path, std::uint64_t id, const ProgressSink& progress) {
  const Removal removal = Repository::open(path).remove(id, progress);
  Tidied tidied = tidy_chains(path, progress);
  Deletion deletion{removal.kept_as_base && !std::ranges::count(tidied.gone, id), removal.gone,
                    std::move(tidied.merged)};
  deletion.gone.insert(deletion.gone.end(), tidied.gone.begin(), tidied.gone.end());
  return deletion;
}

}  // namespace tintype
