// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/store/chain.h"
#include "checkpoint/store/checkpoint_store.h"
#include "vmm/base/progress.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// Memory of a machine that does not run, which becomes one checkpoint after the other of it as they come: what each
/// changed is written over what is there, so that the newest is ready without being read as a whole.
class FollowingMemory {
 public:
  /// `memory` is new.
  explicit FollowingMemory(GuestMemory& memory) : memory_(memory) {}

  /// How much may be read for it.
  enum class Effort : std::uint8_t { kAll, kLittle };
  /// Memory becomes as that checkpoint has it. False where that would be more than a little, and little was to be read;
  /// then memory is as it was. Throws ImageError, and what `progress` throws, which is told of a whole load only; from
  /// then on memory is as nothing, and the next one is loaded as a whole.
  bool follow(const CheckpointStore& store, std::uint64_t id, Effort effort, const ProgressSink& progress = {});

  /// The checkpoint that memory is as, by its identity; empty: none.
  const std::string& identity() const noexcept { return identity_; }

 private:
  using Parts = std::vector<std::unique_ptr<PartReader>>;
  void load(const CheckpointStore& store, std::uint64_t id, const ProgressSink& progress);
  void apply(const Parts& parts);
  void put(std::uint64_t page, std::span<const std::byte> data);
  void clear(std::uint64_t page, std::uint64_t pages);
  void clear_all();
  std::span<std::byte> place_of(std::uint64_t page) const noexcept;

  GuestMemory& memory_;
  std::string identity_;
  std::vector<std::byte> buffer_;
};

}  // namespace tintype
