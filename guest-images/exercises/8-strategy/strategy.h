// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "checkpoint/capture/strategy.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// The strategy of the exercise: in the pause, all of guest memory is copied to spare memory of the host, and written
/// out of there while the guest runs. No write of the guest ever waits; the pause is one memcpy; it needs as much
/// memory again.
std::unique_ptr<MemoryCapture> make_spare(const GuestMemory& memory, CaptureEngine& engine);

}  // namespace tintype
