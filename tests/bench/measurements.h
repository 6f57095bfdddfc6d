// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/bench/place.h"
#include "tests/bench/results.h"

/// What the bench does, a file each. All of them run guests one at a time: two would measure each other.
namespace tintype::test {

/// In rounds: for each workload each contender once, on a guest of its own. `choose` of workloads (from the first on).
void measure_contenders(Results& results, Place& place, int rounds, std::size_t choose);

/// Pauses by size of memory; sizes that this host has no room for are left out and said so.
void measure_sizes(Results& results, Place& place, int rounds, int largest_mib);

/// What a capture costs the guest, by how much it writes to: the strategy that the goals are for, two others, and QEMU.
void measure_sets(Results& results, Place& place, int rounds);

/// Incremental checkpoints back to back for so long, with little written between them and with nothing.
void measure_incremental(Results& results, Place& place, double seconds);

/// The same at a pace, with two disks, into memory: whether that is held, and what it costs the guest.
void measure_paced(Results& results, double seconds);

/// Memory of the process some seconds after a capture.
void measure_resident(Results& results, Place& place);

/// The guest's work over time: the strategy that the goals are for, and QEMU.
void measure_timelines(Results& results, Place& place);

}  // namespace tintype::test
