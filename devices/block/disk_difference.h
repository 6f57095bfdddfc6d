// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "devices/block/disk_core.h"
#include "vmm/base/disk_contents.h"

namespace tintype {

/// Writes to `log`, which is empty, all that makes `now` into `wanted`; where it is null, only looks. Both are of one
/// size, and stand still. True where they differ. Throws what reading and writing does.
bool write_difference(DiskCore& core, DiskContents& now, DiskContents& wanted, RedoLog* log);

}  // namespace tintype
