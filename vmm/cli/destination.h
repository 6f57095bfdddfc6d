// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

namespace tintype {

/// Whether a file may be written over: not where a machine runs on it, or will when it is resumed, nor where it is a
/// redo log, or an image that has any. Throws Error; says nothing of what is no file, or is not there.
void check_may_be_replaced(const std::filesystem::path& file);

/// A repository holds checkpoints and nothing else: Error where the file would be in it, by whatever name.
void check_outside(const std::filesystem::path& repository, const std::filesystem::path& file);

}  // namespace tintype
