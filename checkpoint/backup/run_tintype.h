// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "checkpoint/backup/chores.h"

namespace tintype {

/// This program, once more, in a process of its own: whatever it does, and however much memory that takes, is none of
/// the machine's.
std::string run_tintype(const std::vector<std::string>& arguments, const std::atomic<bool>& stop);

}  // namespace tintype
