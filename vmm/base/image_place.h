// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>

#include "vmm/base/absent_blocks.h"
#include "vmm/base/unique_fd.h"

namespace tintype {

/// Where the image of a disk lies, and what it has not yet.
struct ImagePlace {
  std::filesystem::path path;  ///< of one without a name: for messages; and in this directory its logs lie
  std::shared_ptr<const UniqueFd> unnamed{};  ///< one without a name, open for writing; null where it has one
  std::shared_ptr<AbsentBlocks> absent{};     ///< what is still to come; null where all of it is there
};

}  // namespace tintype
