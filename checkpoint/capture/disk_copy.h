// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "checkpoint/capture/cancellation.h"
#include "checkpoint/capture/destination.h"
#include "vmm/base/freezable_disk.h"
#include "vmm/base/progress.h"

namespace tintype {

/// Copies all data of a frozen disk into its part, or, where that builds on a parent's (`only_changes`), what changed
/// since; the guest goes on writing to the layer above. When it returns nothing is read from the disk any more, and
/// what it has handed over is being written. Returns the bytes stored so far; throws Cancelled, and does not wait for
/// the host's writes to that disk then.
std::shared_ptr<const std::atomic<std::uint64_t>> copy_disk(const std::string& id, FrozenDisk& disk, bool only_changes,
                                                            Destination& destination, const Cancellation& cancellation,
                                                            const ProgressSink& progress);

}  // namespace tintype
