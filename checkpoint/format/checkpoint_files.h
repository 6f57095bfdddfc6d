// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace tintype::checkpoint_files {

// The files of a checkpoint, and the names that its manifest has for its parts. A disk's part goes by the
// disk's id.
inline constexpr const char* kManifest = "checkpoint.json";
inline constexpr const char* kState = "machine.state";
inline constexpr const char* kMemory = "memory.part";
/// Remarks: what came of verifying and drilling it. No part of it, and in no manifest.
inline constexpr const char* kChecks = "checks.json";
/// The same: what a machine that is restored wants of its memory first.
inline constexpr const char* kWorkingSet = "working-set.json";
inline constexpr const char* kStateName = "state";
inline constexpr const char* kMemoryName = "memory";

/// Of memory or a disk.
inline std::string part_file(const std::string& name) { return name + ".part"; }

}  // namespace tintype::checkpoint_files
