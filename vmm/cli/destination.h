// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

namespace tintype {

/// Its own disks are what a machine runs on, or will when it is resumed: Error where one holds the file.
void check_not_in_use(const std::filesystem::path& file);

/// A repository holds checkpoints and nothing else: Error where the file would be in it, by whatever name.
void check_outside(const std::filesystem::path& repository, const std::filesystem::path& file);

}  // namespace tintype
