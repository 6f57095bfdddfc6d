// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// A listening stream socket of mode 0600 at `path`, which must not exist. Non-blocking. Throws std::system_error.
UniqueFd listen_on_unix_socket(const std::filesystem::path& path);

/// A blocking stream socket connected to `path`, or an empty one with errno set.
UniqueFd connect_to_unix_socket(const std::filesystem::path& path);

}  // namespace tintype
