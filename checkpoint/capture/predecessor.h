// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "checkpoint/store/checkpoint_reader.h"
#include "checkpoint/store/parent.h"

namespace tintype {

/// What a checkpoint can build on in a repository to which this process has not written the last one.
struct Predecessor {
  ParentRef checkpoint;
  /// What it holds: nobody knows what was written since, so all has to be compared with it. Null where it is the last
  /// one, which somebody has carried there.
  std::shared_ptr<const CheckpointReader> contents;
};

/// The last one of this process, whatever its id is there; else the newest whole one of a machine of this name with as
/// much memory. Nothing where there is none, or no such repository.
std::optional<Predecessor> find_predecessor(const std::filesystem::path& repository,
                                            const std::optional<ParentRef>& latest, const std::string& vm,
                                            const MachineDescription& machine,
                                            std::shared_ptr<KnownManifests> known = {});

}  // namespace tintype
