// SPDX-License-Identifier: Apache-2.0
#pragma once

// What can be done with checkpoints where no machine runs: the verbs show and delete, as plain functions
// (verify.h and export.h have the other two). The command line prints what they return.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/format/manifest.h"
#include "checkpoint/store/check_notes.h"
#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/store/verify.h"

namespace tintype {

/// One line of `show REPO`.
struct CheckpointSummary {
  std::uint64_t id = 0;
  std::uint64_t bytes = 0;           ///< on disk
  std::optional<Manifest> manifest;  ///< nothing where it cannot be read
  std::string problem;               ///< why it cannot be read
  CheckNotes checks;                 ///< what came of verifying and drilling it
};

std::vector<CheckpointSummary> list_checkpoints(const std::filesystem::path& repository);

/// The manifest of one. Throws tintype::Error.
Manifest show_checkpoint(const std::filesystem::path& repository, std::optional<std::uint64_t> id);
/// `show --id N --json`: the manifest and all of machine.state as one JSON object.
std::string show_checkpoint_json(const std::filesystem::path& repository, std::optional<std::uint64_t> id);

/// Keeps beside each checkpoint what came of verifying it (all of them, or one).
void note_verification(const std::filesystem::path& repository, std::optional<std::uint64_t> id,
                       const Verification& verification);

/// What became of a checkpoint that was deleted, and of others by it.
struct Deletion {
  bool kept_as_base = false;                ///< others build on it, so its data is there still
  std::vector<std::uint64_t> gone, merged;  ///< removed with all their data; that have taken bases in
};

/// Deletes it and tidies what that leaves (tidy.h).
Deletion delete_checkpoint(const std::filesystem::path& repository, std::uint64_t id,
                           const ProgressSink& progress = {});

}  // namespace tintype
