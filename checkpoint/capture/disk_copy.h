// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/capture/cancellation.h"
#include "checkpoint/capture/destination.h"
#include "vmm/base/freezable_disk.h"
#include "vmm/base/progress.h"

namespace tintype {

/// Copies all data of a frozen disk into its part, or, where that builds on a parent's, what changed since; the guest
/// goes on writing to the layer above. Returns the bytes stored; throws Cancelled, and does not wait for the host's
/// writes to that disk then.
std::uint64_t copy_disk(const std::string& id, FrozenDisk& disk, Destination& destination,
                        const Cancellation& cancellation, const ProgressSink& progress);

}  // namespace tintype
