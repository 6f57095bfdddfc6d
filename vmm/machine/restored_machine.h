// SPDX-License-Identifier: Apache-2.0
#pragma once

// The steps of a restore, for whoever takes one after the other, and for whoever took some of them before.

#include <functional>
#include <memory>
#include <span>

#include "checkpoint/restore/disk_images.h"
#include "checkpoint/store/checkpoint_reader.h"
#include "vmm/base/progress.h"
#include "vmm/machine/lifecycle.h"
#include "vmm/machine/machine.h"

namespace tintype {

/// Of the checkpoint that the options name. Throws tintype::Error where no machine can be restored from it.
std::shared_ptr<const CheckpointReader> open_to_restore(const RestoreOptions& options);
std::string restored_name(const Manifest& manifest, const RestoreOptions& options);
/// A machine like the one that was captured, which has nothing of it yet.
std::unique_ptr<Lifecycle> make_machine_like(const Manifest& manifest, const RestoreOptions& options,
                                             VmShell shell = {});
/// It becomes that checkpoint, with these disks, which go again where it never starts. `restore`, called when all was
/// checked and the disks are written, gives it memory and states.
void become(Lifecycle& machine, const CheckpointReader& checkpoint, const std::shared_ptr<DiskImages>& disks,
            const RestoreOptions& options, const std::function<void()>& restore, const ProgressSink& tell);
/// The last step of that: it has memory and states, and gets its disks.
void begin(Lifecycle& machine, const CheckpointReader& checkpoint, std::span<const ImagePlace> images);

}  // namespace tintype
