// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace tintype {

/// The saved state of a suspended machine lies in a repository of its own, `NAME.suspended`, as the one checkpoint in
/// it: memory and devices. Its disks stay where they are.
///
/// Whether the machine is suspended is decided by one name, that of the checkpoint: it appears as the last step of
/// suspending, and goes as the first of running on. What its images say (vmm/base/image_note.h) is prepared before
/// and cleared up after.

/// Where a machine of that name would be saved in `directory`. Throws tintype::Error where there is one already.
std::filesystem::path new_saved_state(const std::filesystem::path& directory, const std::string& name);
/// Of a directory that is a saved state, or holds one. Throws tintype::Error.
std::filesystem::path find_saved_state(const std::filesystem::path& directory);
/// The name that decides, of the checkpoint with this id.
std::filesystem::path deciding_name(const std::filesystem::path& state, std::uint64_t id);

/// Throws tintype::Error where this repository is the saved state of a machine: it would be there twice, or lost.
void refuse_saved_state(const std::filesystem::path& repository);

/// From now on there is no suspended machine here. Throws tintype::Error where there is none.
void use_up_saved_state(const std::filesystem::path& state);

}  // namespace tintype
