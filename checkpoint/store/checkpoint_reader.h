// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "checkpoint/format/manifest.h"
#include "checkpoint/format/part_reader.h"
#include "checkpoint/state/codec.h"

namespace tintype {

/// A checkpoint that is going to be used. The constructor opens and checks everything but the data of memory
/// and disks: manifest, machine.state, header, index, footer and gaps of each part, and that they belong
/// together. The data is checked as it is read. From then on all files are open, so the checkpoint can be
/// deleted meanwhile without harm.
class CheckpointReader {
 public:
  /// Without an id: the newest. Throws tintype::Error (ImageError and StateError where it is damaged).
  CheckpointReader(const std::filesystem::path& repository, std::optional<std::uint64_t> id);

  const Manifest& manifest() const noexcept { return manifest_; }
  std::span<const NamedState> states() const noexcept { return states_; }
  const StateRecord* find_state(std::string_view name) const noexcept;
  const PartReader& memory() const noexcept { return *memory_; }
  /// Null where the checkpoint has no such disk.
  const PartReader* disk(std::string_view id) const noexcept;

 private:
  struct DiskPart {
    std::string id;
    std::unique_ptr<PartReader> part;
  };
  void open_parts(const std::filesystem::path& directory);
  void check_machine() const;

  Manifest manifest_;
  std::vector<NamedState> states_;
  std::unique_ptr<PartReader> memory_;
  std::vector<DiskPart> disks_;
};

}  // namespace tintype
