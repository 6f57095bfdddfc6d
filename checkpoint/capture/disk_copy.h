// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "checkpoint/capture/cancellation.h"
#include "checkpoint/capture/destination.h"
#include "checkpoint/format/block_source.h"
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

/// The same where nobody knows what changed since the parent: the disk is compared with what it was `before`, and what
/// differs is copied. Both are read whole, but for where neither holds anything.
std::shared_ptr<const std::atomic<std::uint64_t>> copy_disk_differences(const std::string& id, FrozenDisk& disk,
                                                                        const BlockSource& before,
                                                                        Destination& destination,
                                                                        const Cancellation& cancellation,
                                                                        const ProgressSink& progress);

}  // namespace tintype
