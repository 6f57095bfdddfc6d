// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/checkpoint_reader.h"

#include <algorithm>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/store/chain.h"
#include "checkpoint/store/open_checkpoint.h"
#include "checkpoint/store/steady_source.h"

namespace tintype {

namespace {

/// Where all of it lies.
std::vector<std::string> places_of(const Chain& chain) {
  std::vector<std::string> places;
  for (const ChainLink& link : chain) places.push_back(link.folder->path_of(""));
  return places;
}

/// Memory or a disk of it, and what finds that again where it was merged meanwhile.
std::unique_ptr<BlockSource> open_steady(const std::shared_ptr<const CheckpointStore>& store, const Chain& chain,
                                         const std::string& part) {
  const auto open_again = [store, part, id = chain.front().id(), identity = chain.front().manifest->identity,
                           places = places_of(chain)]() mutable -> std::unique_ptr<BlockSource> {
    try {
      return read_in_motion(*store, [&]() -> std::unique_ptr<BlockSource> {
        const Chain now = read_chain(*store, id);
        if (now.front().manifest->identity != identity || places_of(now) == places) return nullptr;
        auto source = open_source(now, part);
        places = places_of(now);
        return source;
      });
    } catch (const std::exception&) {  // it is gone: what was said before is to the point
      return nullptr;
    }
  };
  return std::make_unique<SteadySource>(open_source(chain, part), open_again);
}

}  // namespace

CheckpointReader::CheckpointReader(const std::filesystem::path& path, std::optional<std::uint64_t> id) {
  const std::shared_ptr<const CheckpointStore> store = open_store(path);
  repository_ = store->name();
  read_in_motion(*store, [&] { open(store, store->resolve(id)); });
}

void CheckpointReader::open(const std::shared_ptr<const CheckpointStore>& store, std::uint64_t id) {
  const Chain chain = read_chain(*store, id);
  manifest_ = *chain.front().manifest;
  check_machine(manifest_);
  place_beside_ = store->place_beside(id);
  states_ = read_states(*chain.front().folder, manifest_);
  disks_.clear();
  memory_ = open_steady(store, chain, checkpoint_files::kMemoryName);
  for (const DiskDescription& disk : manifest_.machine.disks) disks_.push_back(open_steady(store, chain, disk.id));
}

void CheckpointReader::require(Portion portion) const {
  const Portion holds = manifest_.report.holds;
  if (holds == Portion::kAll || holds == portion) return;
  throw Error("checkpoint {} holds {} only: {}", manifest_.id, holds == Portion::kMemory ? "memory" : "the disks",
              portion == Portion::kAll ? "a machine is restored from one that was taken without --only"
                                       : "choose another with --id");
}

const StateRecord* CheckpointReader::find_state(std::string_view name) const noexcept {
  const auto found = std::ranges::find(states_, name, &NamedState::name);
  return found == states_.end() ? nullptr : &found->record;
}

const BlockSource* CheckpointReader::disk(std::string_view id) const noexcept {
  const auto found = std::ranges::find_if(disks_, [&](const auto& disk) { return disk->name() == id; });
  return found == disks_.end() ? nullptr : found->get();
}

const BlockSource& CheckpointReader::require_disk(std::string_view id) const {
  require(Portion::kDisks);
  const BlockSource* part = disk(id);
  if (part == nullptr)
    throw Error("checkpoint {} has no disk {}; tintype show names those that it has", manifest_.id, id);
  return *part;
}

}  // namespace tintype
