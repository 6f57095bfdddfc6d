// SPDX-License-Identifier: Apache-2.0
#pragma once

// What can be done with checkpoints where no machine runs: the verbs show, verify, delete and export, as
// plain functions. The command line prints what they return.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/image/manifest.h"
#include "checkpoint/report.h"

namespace tintype {

/// One line of `show REPO`.
struct CheckpointSummary {
  std::uint64_t id = 0;
  std::uint64_t bytes = 0;           ///< on disk
  std::optional<Manifest> manifest;  ///< nothing where it cannot be read
  std::string problem;               ///< why it cannot be read
};

std::vector<CheckpointSummary> list_checkpoints(const std::filesystem::path& repository);

/// The manifest of one. Throws tintype::Error.
Manifest show_checkpoint(const std::filesystem::path& repository, std::optional<std::uint64_t> id);
/// `show --id N --json`: the manifest and all of machine.state as one JSON object.
std::string show_checkpoint_json(const std::filesystem::path& repository, std::optional<std::uint64_t> id);

/// One thing that is wrong, as a sentence.
struct Damage {
  std::uint64_t id = 0;
  std::string part;  ///< the file, "memory.part"
  std::string reason;
};

struct Verification {
  std::uint64_t checkpoints = 0, bytes = 0;
  std::vector<Damage> damages;  ///< empty: all is well
  bool good() const noexcept { return damages.empty(); }
};

/// Reads every byte. Without an id: of all checkpoints. Throws only where there is no such repository or
/// checkpoint; damage is a result.
Verification verify_checkpoints(const std::filesystem::path& repository, std::optional<std::uint64_t> id,
                                const ProgressSink& progress = {});

void delete_checkpoint(const std::filesystem::path& repository, std::uint64_t id);

struct ExportedFile {
  std::filesystem::path path;
  std::uint64_t bytes = 0, data_bytes = 0;  ///< length of the file, and what of it is not a hole
};

/// Memory as a flat sparse file. Offsets are guest physical addresses: where memory goes on above 4 GiB, the
/// hole below 4 GiB is a hole in the file. A regular file of that name is replaced when the new one is whole;
/// anything else there is refused. Throws tintype::Error.
ExportedFile export_memory(const std::filesystem::path& repository, std::optional<std::uint64_t> id,
                           const std::filesystem::path& file, const ProgressSink& progress = {});
/// A disk as a flat sparse raw image.
ExportedFile export_disk(const std::filesystem::path& repository, std::optional<std::uint64_t> id,
                         const std::string& disk, const std::filesystem::path& file, const ProgressSink& progress = {});

}  // namespace tintype
