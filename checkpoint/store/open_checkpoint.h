// SPDX-License-Identifier: Apache-2.0
#pragma once

// The files of a checkpoint one by one, each checked against the manifest. For the reader, and for verify,
// which goes on after a damaged one. All throw ImageError (or StateError) that names the file.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "checkpoint/format/manifest.h"
#include "checkpoint/format/part_reader.h"
#include "checkpoint/state/codec.h"
#include "checkpoint/store/checkpoint_folder.h"

namespace tintype {

Manifest read_manifest(const CheckpointFolder& folder, std::uint64_t id);
Manifest read_manifest(const std::filesystem::path& directory, std::uint64_t id);
/// The manifest's two halves, what the machine was and what the files are, must tell the same story.
void check_machine(const Manifest& manifest);
std::vector<NamedState> read_states(const CheckpointFolder& folder, const Manifest& manifest);
std::vector<NamedState> read_states(const std::filesystem::path& directory, const Manifest& manifest);
/// All bytes of the file with the states, which are those that the manifest means.
std::vector<std::byte> read_state_file(const ByteSource& file, const PartDescription& description);
void check_part(const PartReader& part, const PartDescription& description, PartKind kind);
std::unique_ptr<PartReader> open_part(const CheckpointFolder& folder, const PartDescription& description,
                                      PartKind kind);

}  // namespace tintype
