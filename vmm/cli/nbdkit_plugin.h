// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

namespace tintype {

/// The plug-in for nbdkit with which `serve` offers a disk: what TINTYPE_NBDKIT_PLUGIN says, or where it was built, or
/// installed. Throws tintype::Error, with the remedy, where it is in neither place.
std::filesystem::path nbdkit_plugin();

}  // namespace tintype
