// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

namespace tintype {

/// The task state segment for kTaskStateArea, to which TR points at entry: all zero but for an I/O permission bitmap
/// that permits every port (Intel SDM volume 1, 19.5.2). A processor looks there only for port I/O of a ring whose
/// privilege is not in IOPL, so a kernel that has no task state of its own, and on a processor that keeps IOPL, never
/// notices it. A KVM without hardware virtualization loses IOPL as soon as ring 3 runs, and ring 3 would be refused its
/// ports there.
std::vector<std::byte> permissive_task_state();

}  // namespace tintype
