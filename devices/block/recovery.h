// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "devices/block/disk_options.h"
#include "devices/block/layer_stack.h"

namespace tintype {

/// The stack of a disk that is being opened. Redo logs that a killed machine left are all checked first; then
/// they are copied into the base and deleted, so that the stack is the base alone. For a read-only disk they
/// stay, and are read through. Throws tintype::Error where a log is damaged, missing, or does not belong to
/// the image as it now is; nothing has been changed then.
std::shared_ptr<const LayerStack> recover(std::shared_ptr<RawFile> base, const DiskOptions& options);

}  // namespace tintype
