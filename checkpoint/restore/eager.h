// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>

#include "checkpoint/store/checkpoint_reader.h"
#include "vmm/base/progress.h"
#include "vmm/base/state.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// Eager restore: everything is read, and every checksum checked, before the machine runs.

/// Throws tintype::Error where the checkpoint's memory does not fit this machine's, or a state is missing, unknown or
/// refused. Changes nothing.
void check_restorable(const CheckpointReader& checkpoint, const GuestMemory& memory, std::span<Stateful* const> states);

/// Fills guest memory, which is new. Throws ImageError where data is damaged.
void load_memory(const CheckpointReader& checkpoint, GuestMemory& memory, const ProgressSink& progress);

/// Gives each thing its saved state, in the order given.
void restore_states(const CheckpointReader& checkpoint, std::span<Stateful* const> states);

}  // namespace tintype
