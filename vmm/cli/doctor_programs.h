// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "vmm/cli/doctor_probes.h"

namespace tintype {

/// Programs and libraries that single verbs need, and no machine does: what is not here, or not in this build, only
/// limits.
std::vector<Finding> examine_programs();

}  // namespace tintype
