// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace tintype {

/// Options that are promised for a later version: not in the help, and refused by name where they are used.
std::vector<const char*> later_options(std::string_view verb);

}  // namespace tintype
