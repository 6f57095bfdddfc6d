// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/operations.h"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "checkpoint/store/chain.h"
#include "checkpoint/store/open_checkpoint.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

CheckpointSummary summarize(const CheckpointStore& store, std::uint64_t id) {
  CheckpointSummary summary;
  summary.id = id;
  try {
    const auto folder = store.folder_of(id);
    if (!folder) throw ImageError("it was deleted just now");
    for (const auto& [name, bytes] : folder->files()) summary.bytes += bytes;
    summary.manifest = read_manifest(*folder, id);
  } catch (const std::exception& error) {
    summary.problem = error.what();
  }
  summary.checks = store.notes_on(id);
  return summary;
}

}  // namespace

std::vector<CheckpointSummary> list_checkpoints(const fs::path& path) {
  const auto store = open_store(path);
  store->require_repository();
  std::vector<CheckpointSummary> summaries;
  for (const std::uint64_t id : store->ids()) summaries.push_back(summarize(*store, id));
  return summaries;
}

Manifest show_checkpoint(const fs::path& path, std::optional<std::uint64_t> id) {
  const auto store = open_store(path);
  return read_in_motion(*store, [&] { return *store->manifest_of(store->resolve(id)); });
}

namespace {

/// By id, why it is damaged: itself, or what it builds on. Parents have lower ids.
std::map<std::uint64_t, std::string> damaged_with_children(const CheckpointStore& store,
                                                           const Verification& verification) {
  std::map<std::uint64_t, std::string> damaged;
  for (const Damage& damage : verification.damages) damaged.emplace(damage.id, damage.reason);
  std::vector<std::uint64_t> all = store.bases();
  for (const std::uint64_t id : store.ids()) all.push_back(id);
  std::ranges::sort(all);
  for (const std::uint64_t id : all) {
    try {
      const auto below = damaged.find(store.manifest_of(id)->parent);
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
  const auto store = open_store(path);
  const auto damaged = damaged_with_children(*store, verification);
  for (const std::uint64_t each : id ? std::vector{*id} : store->ids()) {
    const auto found = damaged.find(each);
    const bool good = found == damaged.end();
    store->note(each, Check::kVerified, check_note(good, good ? "every byte is as it was written" : found->second));
  }
}

std::string show_checkpoint_json(const fs::path& path, std::optional<std::uint64_t> id) {
  const auto store = open_store(path);
  Manifest manifest;
  std::vector<NamedState> states;
  read_in_motion(*store, [&] {
    const Chain chain = read_chain(*store, store->resolve(id), [](const ChainLink&) { return false; });
    manifest = *chain.front().manifest;
    states = read_states(*chain.front().folder, manifest);
  });
  auto json = nlohmann::ordered_json::parse(encode_manifest(manifest));
  json["identity"] = manifest.identity;
  json["state"] = nlohmann::ordered_json::parse(states_as_json(states));
  return json.dump(2);
}

Deletion delete_checkpoint(const fs::path& path, std::uint64_t id, const ProgressSink& progress) {
  const auto store = open_store(path);
  const Removal removal = store->remove(id, progress);
  Tidied tidied = tidy_chains(*store, progress);
  Deletion deletion{removal.kept_as_base && !std::ranges::count(tidied.gone, id), removal.gone,
                    std::move(tidied.merged)};
  deletion.gone.insert(deletion.gone.end(), tidied.gone.begin(), tidied.gone.end());
  return deletion;
}

}  // namespace tintype
