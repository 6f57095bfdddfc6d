// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/checkpoint_reader.h"

#include <algorithm>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/store/chain.h"
#include "checkpoint/store/open_checkpoint.h"

namespace tintype {

CheckpointReader::CheckpointReader(const std::filesystem::path& path, std::optional<std::uint64_t> id) {
  const auto store = open_store(path);
  repository_ = store->name();
  read_in_motion(*store, [&] { open(*store, store->resolve(id)); });
}

void CheckpointReader::open(const CheckpointStore& store, std::uint64_t id) {
  const Chain chain = read_chain(store, id);
  manifest_ = *chain.front().manifest;
  check_machine(manifest_);
  place_of_remarks_ = store.place_of_remarks(id);
  states_ = read_states(*chain.front().folder, manifest_);
  disks_.clear();
  memory_ = open_source(chain, checkpoint_files::kMemoryName);
  for (const DiskDescription& disk : manifest_.machine.disks) disks_.push_back(open_source(chain, disk.id));
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

}  // namespace tintype
