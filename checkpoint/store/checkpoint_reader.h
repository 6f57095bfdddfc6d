// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "checkpoint/format/block_source.h"
#include "checkpoint/format/manifest.h"
#include "checkpoint/state/codec.h"
#include "checkpoint/store/checkpoint_store.h"

namespace tintype {

/// A checkpoint that is going to be used, with all that it builds on. The constructor opens and checks everything but
/// the data of memory and disks: manifests, machine.state, header, index, footer and gaps of each part, and that they
/// belong together. The data is checked as it is read. From then on the checkpoint can be merged with others without
/// harm; in a directory all files are open, so that it can be deleted, too.
class CheckpointReader {
 public:
  /// Without an id: the newest. Throws tintype::Error (ImageError and StateError where it is damaged).
  CheckpointReader(const std::filesystem::path& repository, std::optional<std::uint64_t> id);

  /// Where it lies: absolute.
  const std::filesystem::path& repository() const noexcept { return repository_; }
  /// Where remarks on it may lie (working_set.h); nothing in a store that is no directory.
  const std::optional<std::filesystem::path>& place_beside() const noexcept { return place_beside_; }
  const Manifest& manifest() const noexcept { return manifest_; }
  /// Throws tintype::Error where the checkpoint does not hold that: what else is read here is not of its instant.
  void require(Portion portion) const;
  std::span<const NamedState> states() const noexcept { return states_; }
  const StateRecord* find_state(std::string_view name) const noexcept;
  const BlockSource& memory() const noexcept { return *memory_; }
  /// Null where the checkpoint has no such disk.
  const BlockSource* disk(std::string_view id) const noexcept;
  /// Throws tintype::Error where it has none such, or does not hold disks.
  const BlockSource& require_disk(std::string_view id) const;

 private:
  void open(const std::shared_ptr<const CheckpointStore>& store, std::uint64_t id);

  std::filesystem::path repository_;
  std::optional<std::filesystem::path> place_beside_;
  Manifest manifest_;
  std::vector<NamedState> states_;
  std::unique_ptr<BlockSource> memory_;
  std::vector<std::unique_ptr<BlockSource>> disks_;
};

}  // namespace tintype
