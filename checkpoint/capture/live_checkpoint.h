// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "checkpoint/capture/options.h"
#include "checkpoint/capture/subject.h"
#include "checkpoint/image/report.h"
#include "vmm/base/progress.h"

namespace tintype {

/// Takes a checkpoint of a running machine, from the first preparation to the sealed directory. Blocks the calling
/// thread; the guest stands still only during the pause. Throws what went wrong; then the guest runs on, its disks are
/// whole, and nothing half-made is left in the repository.
CheckpointReport take_live_checkpoint(CaptureSubject& subject, const CheckpointOptions& options,
                                      const ProgressSink& progress);

}  // namespace tintype
